"""What is left on the host when a sandbox is over: nothing, however it was used and however it ended."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest

from harden.kernel.cgroupfs import own_cgroup
from harden.kernel.mountinfo import Mount, read_mounts
from harden.launch.spawn import start
from tests.escape.attempts import LAUNCHES, USERS, VIEWS, spec_for
from tests.sandboxes import features, harden_run, plan_of, python, shell, spec_of

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc", "cgroup2")


class Host:
    """What a launch could leave behind, as far as it is this process's: other tests run at the same time."""

    def __init__(self) -> None:
        self.mounts = Path("/proc/self/mountinfo").read_text()
        self.namespaces = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
        self.descriptors = sorted((name, _link(name)) for name in os.listdir("/proc/self/fd"))
        self.children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        base = features().cgroup
        assert base is not None
        self.cgroups = sorted(path.name for path in Path(os.fsdecode(base)).iterdir() if path.is_dir())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


def _link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        # The folder that was being listed.
        return ""


_MANY = """
import os, sys
from pathlib import Path
from harden.errors import HardenError
from harden.model.sandbox import Bind, View
from tests.escape.attempts import EVERY_CAPABILITY
from tests.escape.test_leftovers import Host
from tests.sandboxes import features, run, shell
base = Path(os.fsdecode(features().cgroup)) / f"harden-many-{os.getpid()}"
base.mkdir()
(base / "cgroup.procs").write_text("0")
features.cache_clear()
missing = Bind(source=b"/etc/hostname", target=b"/usr/no/such")
ways = [
    shell("true", view=View.MINIMAL),
    shell("touch /var/lib/x /tmp/y"),
    shell("mount -t tmpfs x /mnt; setsid sleep 60 & true", capabilities=EVERY_CAPABILITY),
    shell("kill -9 $$"),
    shell("true", view=View.MINIMAL, binds=(missing,)),
    shell("sleep 60", timeout_s=0.05),
]
def go(spec):
    try:
        return run(spec).outcome.status
    except HardenError:
        return 125
for spec in ways:
    go(spec)
before = Host()
seen = [go(ways[number % len(ways)]) for number in range(int(sys.argv[1]))]
after = Host()
for name in before.__dict__:
    assert before.__dict__[name] == after.__dict__[name], (name, before.__dict__[name], after.__dict__[name])
# On a busy machine the time of the last one can be over before it has begun to run.
expected = [{status, 125} if status == 124 else {status} for status in [0, 0, 0, 137, 125, 124]]
assert all(status in expected[number % len(ways)] for number, status in enumerate(seen)), seen
print(after == before)
(base.parent / "cgroup.procs").write_text("0")
base.rmdir()
"""


@pytest.mark.attack(14, 20)
@pytest.mark.proves("nothing left behind")
@pytest.mark.timeout(600)
def test_after_many_launches_the_host_is_as_it_was():
    ended = python(_MANY, str(LAUNCHES), timeout_s=590)
    assert ended.stdout == "True\n", ended


_SHARED = """
import ctypes, os, subprocess, sys
from pathlib import Path
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 1 << 20 | 1 << 14, None) == 0
from harden.model.sandbox import View
from tests.escape.attempts import EVERY_CAPABILITY
from tests.sandboxes import run, shell
before = Path("/proc/self/mountinfo").read_text()
script = "for d in /tmp /run; do mount -t tmpfs inside $d; done; grep -c inside /proc/self/mountinfo; umount -a"
print(run(shell(script, view=View(sys.argv[1]), capabilities=EVERY_CAPABILITY)).text.split()[0])
print(before == Path("/proc/self/mountinfo").read_text())
twin = ["unshare", "--mount", "--propagation", "unchanged", "mount", "-t", "tmpfs", "outside", "/mnt"]
subprocess.run(twin, check=True)
print(before == Path("/proc/self/mountinfo").read_text())
"""


@pytest.mark.attack(14)
@pytest.mark.parametrize("view", VIEWS)
def test_no_mount_comes_out_through_a_shared_tree(view):
    """The twin, a mount namespace that did not make itself private, changes the mounts of this one."""
    inside, unchanged, twin = python(_SHARED, view.value).stdout.split()
    assert int(inside) >= 1
    assert (unchanged, twin) == ("True", "False")


@pytest.mark.attack(19)
@pytest.mark.parametrize("view", VIEWS)
def test_the_program_is_in_its_cgroup_before_its_first_instruction(view):
    """Both are born there (CLONE_INTO_CGROUP): there is no moment in which a limit would not hold."""
    with start(plan_of(shell("exec sleep 60", view=view))) as sandbox:
        ready = sandbox.ready(10)
        lines = [Path(f"/proc/{pid}/cgroup").read_text() for pid in (ready.init_pid, ready.payload_pid)]
        own = [line for line in lines[0].splitlines() if line.startswith("0::")]
        assert lines[0] == lines[1]
        assert re.search(r"/harden-[0-9a-f]{12}/limited/payload$", own[0])
        # The twin: the supervisor stays where it was started.
        supervisor = Path(f"/proc/{sandbox.pid}/cgroup").read_text()
    assert "/payload" not in supervisor


@pytest.mark.attack(20)
@pytest.mark.proves("no survivors")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_process_survives_the_program(victim, uid, view):
    """Each survivor would hold the pipe open, and this would wait for it."""
    ended = harden_run(spec_for(victim("attack_survive", static=True), view=view), uid=uid)
    assert ended.returncode == 0, ended
    assert {line.split()[0] for line in ended.stdout.splitlines()} == {"daemon", "group", "stopped", "vfork"}


@pytest.mark.attack(20)
def test_the_twin_leaves_all_of_them(victim):
    with subprocess.Popen([victim("attack_survive", static=True)], stdout=subprocess.PIPE, text=True) as attacker:
        assert attacker.stdout is not None
        pids = {name: int(pid) for name, pid in (attacker.stdout.readline().split() for _ in range(4))}
        assert attacker.wait(10) == 0
        assert all(os.path.exists(f"/proc/{pid}") for pid in pids.values())
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.attack(20)
@pytest.mark.parametrize("view", VIEWS)
def test_the_death_of_the_supervisor_ends_everything(victim, view):
    reader, writer = os.pipe2(os.O_CLOEXEC)
    spec = spec_for(victim("sleeper", static=True), view=view)
    with start(plan_of(spec), gate=False, stdout=writer) as sandbox:
        os.close(writer)
        ready = sandbox.ready(10)
        payload = os.pidfd_open(ready.payload_pid)
        with open(reader) as output:
            assert output.readline() == "ready\n"
            os.kill(sandbox.pid, signal.SIGKILL)
            assert output.read() == ""
        os.close(payload)


_MOVED = """
import ctypes, os, sys
from pathlib import Path
from harden.kernel.cgroupfs import own_cgroup
from harden.kernel.mountinfo import read_mounts
base, scratch = Path(sys.argv[1]), Path(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
(base / "inner/cgroup.procs").write_text("0")
assert libc.unshare(0x20000 | 0x02000000) == 0 and libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) == 0
procs = os.open(base / "other/cgroup.procs", os.O_WRONLY)
mounted = scratch / "cgroup"
mounted.mkdir()
(scratch / "other").mkdir()
assert libc.mount(b"none", bytes(mounted), b"cgroup2", 0, None) == 0
own = tuple(mount for mount in read_mounts() if mount.point == bytes(mounted))
print(own_cgroup(own) == bytes(mounted))
os.write(procs, b"0")
print(Path("/proc/self/cgroup").read_text().splitlines()[-1], own_cgroup(own))
"""


@pytest.mark.attack(21)
def test_a_cgroup_outside_of_the_namespace_names_no_folder(place):
    """/proc/self/cgroup then says "/../other", and below a mount of the namespace that is some folder beside it."""
    base = features().cgroup
    assert base is not None
    own = Path(os.fsdecode(base), f"harden-moved-{os.getpid()}")
    for folder in (own, own / "inner", own / "other"):
        folder.mkdir()
    try:
        ended = python(_MOVED, str(own), str(place))
    finally:
        for folder in (own / "inner", own / "other", own):
            folder.rmdir()
    assert ended.stdout == "True\n0::/../other None\n", ended


@pytest.mark.attack(21, 43)
def test_names_of_cgroups_are_nobodys_choice():
    """harden- and twelve random digits; the twin: what is not below the mount is not found."""
    assert own_cgroup(()) is None
    mounts: tuple[Mount, ...] = read_mounts()
    assert own_cgroup(mounts) == features().cgroup
    with start(plan_of(spec_of("/bin/sleep", "60"))) as one, start(plan_of(spec_of("/bin/sleep", "60"))) as two:
        assert one.ready(10).cgroup_id != two.ready(10).cgroup_id


@pytest.mark.attack(20)
def test_a_sandbox_that_is_over_before_it_was_looked_at_says_how_it_ended():
    with start(plan_of(shell("sleep 60", timeout_s=2.0))) as sandbox:
        assert select.select([sandbox], [], [], 20)[0]
        sandbox.ready(10)
        sandbox.open_gate()
        outcome = sandbox.wait(10)
    assert (outcome.timed_out, outcome.changes) == (True, ())
