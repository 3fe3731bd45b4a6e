"""Attacks through what a launcher leaves open, stands in, or runs from."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harden.errors import HardenError
from harden.kernel.executable import HARDEN_EXEC
from harden.launch.spawn import start
from harden.model.isolation import Isolation
from tests.conftest import ROOT
from tests.escape.attempts import EVERY_CAPABILITY, USERS, VIEWS, attack, attack_bare, launch, spec_for
from tests.sandboxes import NOBODY, harden_run, plan_of, python, run, run_script, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc")

SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def digests() -> list[bytes]:
    return [
        hashlib.sha256(Path(path).read_bytes()).digest() for path in (HARDEN_EXEC, os.path.realpath(sys.executable))
    ]


@pytest.mark.attack(1)
@pytest.mark.proves("sealed launcher")
@pytest.mark.parametrize("capabilities", [frozenset(), EVERY_CAPABILITY], ids=["none", "all"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_the_launchers_program_cannot_be_overwritten(victim, uid, view, capabilities):
    before = digests()
    attempts = attack(victim("attack_exe", static=True), uid=uid, view=view, capabilities=capabilities)
    assert attempts["hold-1"] in ("EACCES", "ENOENT", "EPERM")
    assert attempts["write-self"] in ("ETXTBSY", "EACCES", "EROFS")
    assert digests() == before


@pytest.mark.attack(1)
def test_the_twin_overwrites_a_program_that_has_ended(victim, place):
    copy = place / "sleeper"
    copy.write_bytes(victim("sleeper", static=True).read_bytes())
    copy.chmod(0o755)
    assert attack_bare(victim("attack_exe", static=True), copy) == {"write-ended": "done"}


@pytest.mark.attack(1)
@pytest.mark.parametrize("uid", USERS)
def test_an_interpreter_that_is_the_launcher_gets_nothing(place, uid):
    """The kernel then runs what /proc/self/exe is at that moment: harden-exec, in the program's place."""
    before = digests()
    script = place / "script"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    ended = harden_run(spec_for(script), uid=uid)
    assert ended.returncode in (125, 126, 127)
    assert ended.stdout == ""
    assert digests() == before
    script.write_text("#!/bin/echo\n")
    assert launch(spec_for(script), uid) == (0, f"{script}\n")


@pytest.mark.attack(1, 3)
def test_the_set_up_runs_from_a_sealed_memfd_and_not_from_python():
    with start(plan_of(shell("exec sleep 60"))) as sandbox:
        ready = sandbox.ready(10)
        for pid in (ready.init_pid, ready.payload_pid, sandbox.pid):
            assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:")
            descriptor = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
            assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
            os.close(descriptor)
    assert not os.readlink("/proc/self/exe").startswith("/memfd:")


NEEDED = re.compile(r"/dev/null|/run/harden/ids/\d+|/.*/harden-[0-9a-f]{12}/limited/payload")
"""What of the host the payload has open before its exec: its id range's lock, its cgroup, and what fills gaps."""


def descriptors(pid: int) -> dict[str, tuple[str, int]]:
    """Path → the number of the mount it lies on and the flags, of everything but the standard streams."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        info = dict(line.split(":\t") for line in Path(f"/proc/{pid}/fdinfo/{name}").read_text().splitlines()[:4])
        if int(name) > 2:
            found[os.readlink(f"/proc/{pid}/fd/{name}")] = info["mnt_id"], int(info["flags"], 8)
    return found


@pytest.mark.attack(2)
@pytest.mark.requires("cgroup2")
@pytest.mark.parametrize("view", VIEWS)
def test_in_the_middle_of_the_set_up_little_is_open_and_all_of_it_ends_at_exec(view):
    """Beside the close_range(2) that comes right before the filter."""
    null, folder = os.open("/dev/null", os.O_RDWR), os.open("/etc", os.O_RDONLY)
    os.set_inheritable(folder, True)
    host = {line.split()[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    with start(plan_of(shell("exec sleep 60", view=view)), stdin=null, stdout=null, stderr=null) as sandbox:
        ready = sandbox.ready(10)
        init, payload = descriptors(ready.init_pid), descriptors(ready.payload_pid)
    os.close(null)
    os.close(folder)
    assert init == {}
    assert all(flags & os.O_CLOEXEC for _, flags in payload.values())
    of_the_host = {path for path, (mount, _) in payload.items() if mount in host}
    assert {path for path in of_the_host if not NEEDED.fullmatch(path)} == {"/etc"}
    assert len(of_the_host) >= 3


_LEAKING = """
import sys
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from harden.model.sandbox import View
from tests.escape.attempts import spec_for
exec_plan(plan(spec_for(sys.argv[1], view=View(sys.argv[2])), probe()))
"""


def leak() -> tuple[list[int], list[socket.socket]]:
    folders = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in ("/", "/etc", "/root", "/proc", "/var") * 8]
    files = [os.open(path, os.O_RDONLY) for path in ("/etc/shadow", "/etc/passwd") * 5]
    sockets = [each for _ in range(10) for each in socket.socketpair()]
    high = [fcntl.fcntl(folders[0], fcntl.F_DUPFD, number) for number in (250, 500, 1000)]
    return [*folders, *files, *high], sockets


@pytest.mark.attack(2, 3)
@pytest.mark.proves("closed descriptors")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_leaked_descriptors_end_before_the_program(victim, uid, view):
    program = str(victim("attack_fds", static=True))
    descriptors, sockets = leak()
    inherited = [*descriptors, *(each.fileno() for each in sockets)]
    try:
        become = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        command = [*become, sys.executable, "-c", _LEAKING, program, view.value]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
        options = {
            "pass_fds": inherited,
            "capture_output": True,
            "text": True,
            "timeout": 60,
            "stdin": subprocess.DEVNULL,
        }
        inside = subprocess.run(command, env=environment, check=False, **options)  # type: ignore[call-overload]
        twin = subprocess.run([program], check=True, **options)  # type: ignore[call-overload]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        for each in sockets:
            each.close()
    assert (inside.stdout, inside.returncode) == ("ended\n", 0), inside
    assert twin.stdout.count("open ") == len(inherited) > 50
    assert twin.stdout.count("escape ") >= 40


@pytest.mark.attack(2)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["self", "thread-self", "1", "2"])
def test_the_working_folder_is_no_descriptor(name, view):
    for number in (*range(3, 20), 40):
        with pytest.raises(HardenError, match=r"folder .*(chdir|getcwd|mkdirat): E"):
            run(shell("cat etc/hostname", view=view, cwd=f"/proc/{name}/fd/{number}".encode()))
    assert run_script(shell("pwd", view=view, cwd=b"/proc/self")).startswith("/proc/")


FOLDER_STREAM = "cat /proc/self/fd/{0}/hostname >/dev/full 2>&1; test -e /proc/self/fd/{0}/hostname && exit 9; exit 0"


@pytest.mark.attack(2)
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("uid", USERS)
def test_a_folder_as_a_standard_stream_is_refused(uid, number):
    """Its ".." is the host's: no view, and no mount namespace, is around what was opened before."""
    folder, null = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY), os.open("/dev/null", os.O_RDWR)
    script = FOLDER_STREAM.format(number)
    become = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    code = (
        "import os, sys\n"
        "from harden.errors import HardenError\n"
        "from harden.kernel.probe import probe\nfrom harden.launch.plan import plan\n"
        "from harden.launch.spawn import exec_plan\nfrom tests.sandboxes import shell\n"
        "planned = plan(shell(sys.argv[1]), probe())\n"
        "os.dup2(int(sys.argv[2]), int(sys.argv[3]))\n"
        "try:\n    exec_plan(planned)\nexcept HardenError:\n    sys.exit(125)\n"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
    try:
        for stream, status in ((folder, 125), (null, 0)):
            words = [*become, sys.executable, "-c", code, script, str(stream), str(number)]
            ended = subprocess.run(
                words,
                env=environment,
                check=False,
                timeout=60,
                stdin=null,
                stdout=null,
                stderr=null,
                pass_fds=(stream,),
            )
            assert ended.returncode == status
        # The twin: without harden it leads there.
        streams: dict[str, Any] = {"stdin": null, "stdout": null, "stderr": null}
        streams[("stdin", "stdout", "stderr")[number]] = folder
        assert subprocess.run(["/bin/sh", "-c", script], check=False, **streams).returncode == 9
    finally:
        os.close(folder)
        os.close(null)


@pytest.mark.attack(2)
def test_harden_exec_refuses_such_a_folder_itself():
    """Whatever started it; a descriptor to be passed on, too."""
    folder = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        ended = subprocess.run([HARDEN_EXEC, "9"], stdin=folder, capture_output=True, text=True, check=False)
        assert (ended.returncode, "way out of the sandbox" in ended.stderr) == (125, True)
        spec = shell("echo started", isolation=Isolation(pass_fds=(folder,)))
        with pytest.raises(HardenError, match="a way out of the sandbox"):
            run(spec)
    finally:
        os.close(folder)
    with open("/etc/hostname") as file:
        assert run_script(shell("echo started", isolation=Isolation(pass_fds=(file.fileno(),)))) == "started\n"


@pytest.mark.attack(4)
def test_set_id_bits_on_the_launcher_are_refused(place):
    """With the privilege of its owner, everything that its caller can choose would be a way in."""
    copy = place / "harden-exec"
    copy.write_bytes(HARDEN_EXEC.read_bytes())
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    for mode, expected in ((0o4755, "must not be set-user-id"), (0o2755, "must not be set-user-id"), (0o755, "")):
        copy.chmod(mode)
        ended = subprocess.run([*become, copy, "probe", "0"], capture_output=True, text=True, check=False)
        assert (ended.returncode == 125) is bool(expected)
        assert expected in ended.stderr


@pytest.mark.attack(4)
def test_a_helper_cannot_be_taken_over_before_it_is_the_program(victim):
    """A process of the payload's, with every capability, lies in wait for what enters the sandbox from outside."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    inner, outer = os.pipe2(os.O_CLOEXEC)
    spec = spec_for(victim("attack_process", static=True), "watch", capabilities=EVERY_CAPABILITY)
    with start(plan_of(spec), stdin=inner, stdout=writer) as sandbox, open(reader) as output:
        os.close(writer)
        os.close(inner)
        sandbox.ready(10)
        sandbox.open_gate()
        assert output.readline() == "ready 0\n"
        for _ in range(30):
            # Its status does not matter: it is being seized, and let go, from when on that is its right.
            sandbox.enter(["/bin/true"]).wait(10)
        os.close(outer)
        lines = dict(line.split() for line in output.read().splitlines())
        assert sandbox.wait(10).status == 0
    assert "took-over" not in lines
    # The twin: it saw them come and go.
    assert int(lines["seen"]) > 0


@pytest.mark.attack(3)
def test_descriptors_that_python_opens_by_itself_end_too():
    """ctypes and many other modules hold some, unseen; the set-up is C and closes by number."""
    assert ctypes.CDLL(None)
    code = (
        "import ctypes, os, random, select, ssl, tempfile\n"
        "held = [os.dup(os.open('/etc', os.O_RDONLY)), select.epoll(), os.memfd_create('x', 0)]\n"
        "os.set_inheritable(held[0], True); os.set_inheritable(held[2], True)\n"
        "from harden.kernel.probe import probe\nfrom harden.launch.plan import plan\n"
        "from harden.launch.spawn import exec_plan\nfrom tests.sandboxes import shell\n"
        "exec_plan(plan(shell('ls /proc/self/fd'), probe()))\n"
    )
    # 3 is the folder that ls reads.
    assert python(code).stdout == "0\n1\n2\n3\n"
