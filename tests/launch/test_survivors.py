"""Nothing of a sandbox outlives it, and a hundred of them leave the host as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harden.launch.spawn import start
from harden.model.isolation import Isolation, OverlayMount, TmpfsMount
from harden.model.sandbox import SandboxSpec, View
from tests.sandboxes import NOBODY, ROOT, harden_run, plan_of, python, run, spec_of

pytestmark = pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp", "gcc")

USERS = [None, pytest.param(NOBODY, marks=pytest.mark.requires("nobody"))]


def with_token(token: str) -> list[int]:
    """Processes that have `token` in their command lines; this one's own descendants' shells included."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if token.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


@pytest.fixture
def token():
    return f"survivor-{secrets.token_hex(8)}"


def survivors(victim, *arguments: str, **changes: object) -> SandboxSpec:
    program = victim("survivors", static=True)
    os.chmod(program, 0o755)
    folder = os.fsencode(program.parent)
    return spec_of(program, *arguments, view=View.MINIMAL, visible=(folder,), **changes)


def wait_for_text(descriptor: int, text: bytes) -> None:
    data = b""
    while text not in data:
        more = os.read(descriptor, 100)
        assert more, data
        data += more


@contextlib.contextmanager
def staying(victim, token: str):
    """A sandbox whose program and its children are all there, and stay."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with start(plan_of(survivors(victim, token, "stay")), gate=False, stdout=writer) as sandbox:
        os.close(writer)
        wait_for_text(reader, b"ready")
        assert len(with_token(token)) == 6
        yield sandbox
    os.close(reader)


@pytest.mark.parametrize("uid", USERS)
def test_what_the_program_left_running_ends_with_it(victim, token, uid):
    ended = harden_run(survivors(victim, token), uid=uid)
    assert (ended.returncode, ended.stdout) == (0, "ready\n"), ended.stderr
    assert with_token(token) == []


def test_the_time_limit_ends_all_of_them(victim, token):
    outcome = run(survivors(victim, token, "stay", timeout_s=3.0)).outcome
    assert outcome.timed_out
    assert with_token(token) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda sandbox: sandbox.signal(signal.SIGKILL),
        lambda sandbox: sandbox.close(),
        lambda sandbox: os.kill(sandbox.ready(10).init_pid, signal.SIGKILL),
    ],
    ids=["program-killed", "closed", "init-killed"],
)
def test_however_it_ends_nothing_is_left(victim, token, act):
    with staying(victim, token) as sandbox:
        pid = os.pidfd_open(sandbox.pid)
        act(sandbox)
        assert select.select([pid], [], [], 20)[0]
        os.close(pid)
        assert with_token(token) == []


def test_a_killed_supervisor_takes_all_of_them_along(victim, token):
    with staying(victim, token) as sandbox:
        pidfds = [os.pidfd_open(pid) for pid in with_token(token)]
        os.kill(sandbox.pid, signal.SIGKILL)
        for pidfd in pidfds:
            assert select.select([pidfd], [], [], 20)[0]
            os.close(pidfd)


DIE = """
import os, sys
from harden.launch.spawn import exec_plan
from harden.model.isolation import Isolation
from tests.sandboxes import plan_of, shell
isolation = Isolation(die_with_parent=sys.argv[1] == "die")
planned = plan_of(shell("echo started; read line; echo $line", isolation=isolation))
child = os.fork()
if child == 0:
    exec_plan(planned)
print(child, flush=True)
os.kill(os.getpid(), 19)
"""


def die_with_parent(word: str, read) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", DIE, word], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/"
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        lines = sorted([parent.stdout.readline(), parent.stdout.readline()])
        assert lines[1] == b"started\n"
        supervisor = os.pidfd_open(int(lines[0]))
        parent.kill()
        parent.wait()
        try:
            read(parent, supervisor)
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(supervisor, signal.SIGKILL)
            os.close(supervisor)


def test_it_ends_with_the_process_that_started_it():
    def is_over(parent, supervisor) -> None:
        assert select.select([supervisor], [], [], 20)[0]
        assert parent.stdout.read() == b""

    die_with_parent("die", is_over)


def test_it_goes_on_without_it_if_asked():
    def answers(parent, supervisor) -> None:
        parent.stdin.write(b"still here\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == b"still here\n"
        assert select.select([supervisor], [], [], 20)[0]

    die_with_parent("live", answers)


LEAKS = """
import os, pathlib, sys
from harden.kernel.cgroupfs import own_cgroup
from harden.kernel.mountinfo import read_mounts
top = pathlib.Path(os.fsdecode(own_cgroup(read_mounts())))
mine = top / f"harden-test-leaks-{os.getpid()}"
mine.mkdir()
(mine / "cgroup.procs").write_text(str(os.getpid()))
import msgspec
from harden.launch.spawn import exec_plan, start
from tests.launch.test_survivors import every_kind
from tests.sandboxes import plan_of
def state():
    namespaces = {(p.parent.name, os.readlink(p)) for p in pathlib.Path("/proc/self/ns").iterdir()}
    return (
        sorted(os.listdir("/proc/self/fd")), pathlib.Path("/proc/self/mountinfo").read_text(), namespaces,
        sorted(p.name for p in mine.iterdir() if p.is_dir()), (mine / "cgroup.procs").read_text(),
        pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(), os.listdir("/dev/mqueue")
        if os.path.isdir("/dev/mqueue") else [],
    )
plans = [plan_of(spec) for spec in every_kind()]
null = os.open("/dev/null", os.O_RDWR)
with start(plans[0], gate=False, stdout=null, stderr=null) as sandbox:
    sandbox.wait(20)
before = state()
for number in range(80):
    with start(plans[number % len(plans)], gate=False, stdout=null, stderr=null) as sandbox:
        assert sandbox.wait(20).status == 0, number
for number in range(20):
    child = os.fork()
    if child == 0:
        os.dup2(null, 1)
        exec_plan(plans[number % len(plans)])
    assert os.waitpid(child, 0)[1] == 0
after = state()
for name, old, new in zip("descriptors mounts namespaces cgroups processes children queues".split(), before, after):
    if old != new:
        print(name, old, new)
(top / "cgroup.procs").write_text(str(os.getpid()))
mine.rmdir()
print("compared")
"""


def every_kind() -> list[SandboxSpec]:
    """Sandboxes that use each kind of mount, limit and namespace that this host gives."""
    isolation = Isolation(
        tmpfs=(TmpfsMount(target=b"/scratch", size=1 << 20),),
        overlays=(OverlayMount(lower=b"/etc", target=b"/etc-copy"),),
        groups=(5,),
    )
    spec = spec_of("/bin/sh", "-c", "(sleep 100 & setsid sleep 100 &) ; echo x > /scratch/x", isolation=isolation)
    host = msgspec.structs.replace(spec, view=View.HOST)
    return [msgspec.structs.replace(spec, view=View.MINIMAL), host, spec_of("/bin/true", view=View.MINIMAL)]


@pytest.mark.timeout(180)
def test_a_hundred_launches_leave_the_host_as_it_was():
    ended = python(LEAKS, timeout_s=170)
    assert (ended.returncode, ended.stdout) == (0, "compared\n"), ended.stdout[-3000:] + ended.stderr
