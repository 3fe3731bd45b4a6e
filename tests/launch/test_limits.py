"""Limits of the sandbox's cgroup: in force before anything runs, read back, reported, and refused by name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from harden.errors import ControlUnavailable, HardenError
from harden.kernel.controllers import CONTROLLERS, Controller
from harden.kernel.executable import HARDEN_EXEC, sealed_memfd
from harden.launch.encode import Header, encode
from harden.launch.ops import Check, Code, Op
from harden.launch.plan import Plan, plan
from harden.launch.spawn import start
from harden.model.control import Control, Enforcement, Requirement
from harden.model.isolation import Isolation
from harden.model.limit import DeviceRule, IoLimit, Limits
from harden.model.sandbox import SandboxSpec, View
from tests.sandboxes import NOBODY, Ended, features, harden_run, plan_of, python, run, shell

pytestmark = pytest.mark.requires("root", "cgroup2", "userns", "seccomp")

MIB = 1 << 20
ASKED = {
    Control.CPU: Limits(cpus=0.5),
    Control.MEMORY: Limits(memory=64 * MIB),
    Control.PIDS: Limits(pids=5),
    Control.IO: Limits(io=(IoLimit(major=8, minor=0, wbps=MIB),)),
    Control.CPUSET: Limits(cpuset="0"),
}
HUNGRY = "head -c 96M /dev/zero | tail -c 96M | wc -c"
"""tail keeps all of it in memory."""


def limited(script: str, limits: Limits, **changes: object) -> SandboxSpec:
    return shell(script, view=View.MINIMAL, isolation=Isolation(limits=limits), **changes)


def refusal(ops: tuple[Op, ...], *, cgroup_fd: int) -> str:
    """What harden-exec says to a plan that it does not take."""
    memfd = sealed_memfd("plan", encode(ops, Header(cgroup_fd=cgroup_fd)))
    try:
        command = [str(HARDEN_EXEC), str(memfd)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=(memfd,))
    finally:
        os.close(memfd)
    assert (ended.returncode, ended.stdout) == (125, "")
    return ended.stderr


def failure(planned: Plan, ops: tuple[Op, ...]) -> str:
    """The error of a sandbox that is started with other steps than planned."""
    with pytest.raises(HardenError) as caught, start(msgspec.structs.replace(planned, ops=ops), gate=False) as sandbox:
        sandbox.wait(20)
    return caught.value.message


def value_of(ended: Ended, control: Control) -> str:
    assert ended.outcome.enforced is not None
    (found,) = [state for state in ended.outcome.enforced.controls if state.control is control]
    assert found.enforcement is Enforcement.FULLY_ENFORCED
    return found.value


@pytest.mark.parametrize("control", CONTROLLERS)
def test_a_limit_without_its_controller_is_refused_by_name(control):
    broken = Controller(reason=f"the {control} controller is on cgroup v1 (/somewhere)", fix="boot with something")
    host = msgspec.structs.replace(features(), controllers={**features().controllers, control: broken})
    spec = limited("true", ASKED[control])
    with pytest.raises(ControlUnavailable) as caught:
        plan(spec, host)
    assert (
        caught.value.message == f"{control}: cannot be enforced: the {control} controller is on cgroup v1 (/somewhere)"
    )
    assert caught.value.hint == f"boot with something; or waive it: --allow-degraded={control}"
    preferred = msgspec.structs.replace(spec, requirements={control: Requirement.PREFERRED})
    with pytest.raises(ControlUnavailable):
        plan(preferred, host)
    waived = plan(msgspec.structs.replace(spec, allow_degraded=frozenset({control})), host)
    assert not [step for step in waived.ops if step.code is Code.LIMIT]
    assert f"{control} is not limited: {broken.reason}" in waived.notes


def test_a_limit_that_is_only_preferred_and_has_no_value_stops_nothing():
    preferred = {Control.MEMORY: Requirement.PREFERRED}
    planned = plan_of(limited("true", Limits(), requirements=preferred))
    assert "memory is not limited: no limit was given" in planned.notes
    with pytest.raises(ControlUnavailable, match="no limit was given"):
        plan_of(limited("true", Limits(), requirements={Control.MEMORY: Requirement.REQUIRED}))


def test_limits_are_written_before_the_first_clone():
    host = msgspec.structs.replace(features(), controllers=dict.fromkeys(CONTROLLERS, Controller()))
    limits = Limits(cpus=0.5, memory=MIB, memory_high=MIB, swap=0, pids=3, cpuset="0", io=ASKED[Control.IO].io)
    planned = plan(limited("true", limits), host)
    codes = [step.code for step in planned.ops]
    assert codes[:8] == [Code.LIMIT] * 7 + [Code.CLONE_INIT]
    assert planned.describe()[0].endswith(" with the controllers cpu, cpuset, io, memory, pids")
    assert planned.describe()[1] == "supervisor: limit the cgroup: cpu.max = 50000 100000"
    late = (*planned.ops[7:8], *planned.ops[:7], *planned.ops[8:])
    assert "it limits what runs already" in refusal(late, cgroup_fd=3)
    assert "it limits a cgroup and has none" in refusal(planned.ops, cgroup_fd=-1)


@pytest.mark.requires("cgroup2-memory")
def test_memory_is_limited_and_the_end_is_told():
    small = Limits(memory=48 * MIB, swap=0)
    ended = run(limited(HUNGRY, small))
    assert "100663296" not in ended.text
    assert ended.outcome.usage.oom_kills
    assert 8 * MIB < (ended.outcome.usage.memory_peak_bytes or 0) <= 48 * MIB
    assert value_of(ended, Control.MEMORY) == f"memory.max {48 * MIB}, memory.swap.max 0"
    twin = run(limited(HUNGRY, Limits(memory=256 * MIB, memory_high=200 * MIB, swap=0)))
    assert (twin.text.strip(), twin.outcome.usage.oom_kills) == ("100663296", 0)
    said = harden_run(limited(HUNGRY, small)).stderr
    assert "harden: memory: the kernel killed 1 of its processes: the memory limit was reached\n" in said


@pytest.mark.requires("cgroup2-pids")
def test_processes_are_limited_and_init_does_not_count():
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 50 & done; echo all"
    ended = run(limited(script, Limits(pids=5)))
    assert "all" not in ended.text
    usage = ended.outcome.usage
    assert usage.pids_peak == 4
    assert usage.forks_refused
    twin = run(limited(script, Limits(pids=21)))
    assert (twin.text, twin.outcome.usage.pids_peak, twin.outcome.usage.forks_refused) == ("all\n", 9, 0)


@pytest.mark.requires("cgroup2-cpu")
def test_processor_time_is_limited():
    script = "timeout 2 sh -c 'while :; do :; done'"
    ended = run(limited(script, Limits(cpus=0.2)))
    usage = ended.outcome.usage
    used = (usage.cpu_user_s or 0) + (usage.cpu_system_s or 0)
    assert 0.1 < used < 0.2 * (usage.elapsed_s or 0) + 0.3
    assert value_of(ended, Control.CPU) == "cpu.max 20000 100000"
    free = run(limited(script, Limits(cpus=4))).outcome.usage
    assert (free.cpu_user_s or 0) + (free.cpu_system_s or 0) > 2 * used


@pytest.mark.requires("cgroup2-cpuset")
def test_processors_are_chosen():
    ended = run(limited("grep Cpus_allowed_list /proc/self/status; nproc", Limits(cpuset="1")))
    assert ended.text.split() == ["Cpus_allowed_list:", "1", "1"]
    assert value_of(ended, Control.CPUSET) == "cpuset.cpus 1, cpuset.cpus.effective 1"
    refused = harden_run(limited("echo started", Limits(cpuset="0-1000")))
    assert (refused.returncode, refused.stdout) == (125, "")
    assert refused.stderr.startswith("harden: cpuset: ")


def seconds_of_dd(ended: Ended) -> float:
    """Of its line such as "2621440 bytes (2.6 MB, 2.5 MiB) copied, 0.03 s, 87.2 MB/s"."""
    return float(ended.text.split(" copied, ")[1].split()[0])


@pytest.mark.requires("cgroup2-io")
def test_a_disk_is_limited(tmp_path):
    device = os.stat(tmp_path).st_dev
    limit = IoLimit(major=os.major(device), minor=os.minor(device), wbps=MIB)
    script = f"dd if=/dev/zero of={tmp_path}/file bs=512k count=5 oflag=direct 2>&1 | tail -1"
    where = {"writable": (os.fsencode(tmp_path),)}
    ended = run(limited(script, Limits(io=(limit,)), **where))
    assert seconds_of_dd(ended) > 1.5
    assert value_of(ended, Control.IO) == f"io.max {limit.render()}"
    assert seconds_of_dd(run(limited(script, Limits(), **where))) < 1.5


@pytest.mark.requires("cgroup2-memory")
def test_a_limit_that_is_not_in_force_is_found_out():
    planned = plan_of(limited("echo started", Limits(memory=64 * MIB)))
    wrong = tuple(
        msgspec.structs.replace(step, strings=(step.strings[0], f"memory.max {65 * MIB}".encode(), *step.strings[2:]))
        if step.code is Code.CHECK and step.slots[0] == Check.LIMITS
        else step
        for step in planned.ops
    )
    message = failure(planned, wrong)
    assert message == (f"memory: the kernel says that it is not in force as asked: memory.max is {64 * MIB}")


@pytest.mark.requires("cgroup2-memory", "cgroup2-pids")
@pytest.mark.parametrize("uid", [0, pytest.param(NOBODY, marks=pytest.mark.requires("nobody"))])
def test_limits_work_in_a_delegated_cgroup(uid):
    """As systemd-run --user --scope -p Delegate=yes delegates it: harden is alone in a cgroup that the user owns."""
    code = """
import os, pathlib, sys
from harden.model.isolation import Isolation
from harden.model.limit import Limits
from harden.model.sandbox import View
from tests.sandboxes import run, shell
uid = int(sys.argv[1])
top = pathlib.Path("/sys/fs/cgroup")
(top / "cgroup.subtree_control").write_text("+memory +pids")
scope = top / f"harden-test-{os.getpid()}"
scope.mkdir()
for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
    os.chown(scope / name, uid, uid)
child = os.fork()
if child == 0:
    (scope / "cgroup.procs").write_text(str(os.getpid()))
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
    spec = shell("cat /proc/self/cgroup; for i in 1 2 3 4 5 6; do sleep 50 & done; echo all", view=View.MINIMAL,
                 isolation=Isolation(limits=Limits(memory=64 << 20, pids=4)))
    ended = run(spec)
    print(ended.text, ended.outcome.usage.pids_peak, ended.outcome.usage.memory_peak_bytes)
    print([s.value for s in ended.outcome.enforced.controls if s.control in ("memory", "pids")])
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print(sorted(p.name for p in scope.iterdir() if p.is_dir()))
for folder in [*scope.iterdir(), scope]:
    if folder.is_dir():
        folder.rmdir()
"""
    ended = python(code, str(uid))
    assert ended.returncode == 0, ended.stderr
    assert "0::/\n" in ended.stdout
    assert "all" not in ended.stdout
    assert f"['memory.max {64 * MIB}', 'pids.max 4']" in ended.stdout
    assert ended.stdout.endswith("['harden-supervisor']\n"), ended.stdout + ended.stderr


def kmsg(access: str) -> Limits:
    """A device that root may open for writing everywhere."""
    number = os.stat("/dev/kmsg").st_rdev
    read, write = "r" in access, "w" in access
    major, minor = os.major(number), os.minor(number)
    rule = DeviceRule(path=b"/dev/kmsg", character=True, major=major, minor=minor, read=read, write=write)
    return Limits(devices=(rule,))


OPEN = "true > /dev/kmsg && echo opened; true > /dev/null && echo null; exec 3<>/dev/ptmx && echo terminal"


@pytest.mark.parametrize("view", [View.MINIMAL, View.HOST])
@pytest.mark.parametrize("uid", [None, 33])
@pytest.mark.requires("overlay", "idmap")
def test_a_device_may_be_used_as_listed_and_no_other(view, uid):
    write = shell(OPEN, view=view, uid=uid, gid=uid, isolation=Isolation(limits=kmsg("w")))
    ended = run(write)
    assert ended.text == "opened\nnull\nterminal\n"
    assert value_of(ended, Control.DEVICES).endswith(" allows 16 kinds of device")
    read = run(shell(OPEN, view=view, uid=uid, gid=uid, isolation=Isolation(limits=kmsg("r"))))
    assert "Operation not permitted" in read.text.splitlines()[0]
    assert read.text.endswith("null\nterminal\n")
    assert run(shell("test -e /dev/kmsg || echo hidden", view=view)).text == "hidden\n"


def test_a_device_list_that_is_not_attached_is_found_out():
    planned = plan_of(shell("echo started", isolation=Isolation(limits=kmsg("r"))))
    without = tuple(step for step in planned.ops if step.code is not Code.DEVICES)
    message = failure(planned, without)
    assert message.startswith("devices: the kernel says that it is not in force as asked")


def test_a_device_that_became_another_one_is_refused():
    planned = plan_of(shell("echo started", isolation=Isolation(limits=kmsg("r"))))
    other = tuple(
        msgspec.structs.replace(step, strings=(b"/dev/zero",)) if step.code is Code.DEVICE_NODE else step
        for step in planned.ops
    )
    message = failure(planned, other)
    assert "it is another device by now" in message


@pytest.mark.requires("nobody")
def test_a_user_cannot_have_a_device_list_and_is_told():
    ended = harden_run(shell("echo started", isolation=Isolation(limits=kmsg("r"))), uid=NOBODY)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert ended.stderr.startswith("harden: devices: cannot be enforced: ")


@pytest.mark.requires("x86_64")
def test_a_refused_bpf_call_is_named():
    ended = harden_run(shell("echo started", isolation=Isolation(limits=kmsg("r"))), refuse_after=(321,), errno=1)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert ended.stderr.startswith("harden: devices: cannot attach the list of allowed devices")
    assert "bpf(BPF_PROG_LOAD): EPERM" in ended.stderr
    assert not list(Path("/sys/fs/cgroup").glob("**/harden-probe-*"))


def test_a_profile_may_demand_a_device_list_by_name_alone():
    spec = shell("true > /dev/null && echo null", requirements={Control.DEVICES: Requirement.REQUIRED})
    ended = run(spec)
    assert ended.text == "null\n"
    assert value_of(ended, Control.DEVICES).endswith(" allows 15 kinds of device")
