"""--rlimit, --groups, --hostname and --pass-fd: what the program's own process is given."""

from __future__ import annotations

import fcntl
import os
import resource

import msgspec
import pytest

from harden.errors import HardenError, UsageError
from harden.launch.ops import Check, Code
from harden.launch.spawn import start
from harden.model.control import Control
from harden.model.isolation import Isolation
from harden.model.limit import Rlimit
from harden.model.sandbox import SandboxSpec, UserNamespaceMode, View
from tests.sandboxes import NOBODY, harden_run, plan_of, python, run, run_script, shell, spec_of

pytestmark = pytest.mark.requires("root", "cgroup2", "userns", "seccomp")

USERS = [None, pytest.param(NOBODY, marks=pytest.mark.requires("nobody"))]


def with_(script: str, **parts: object) -> SandboxSpec:
    return shell(script, view=View.MINIMAL, isolation=Isolation(**parts))  # type: ignore[arg-type]


def rlimit(name: str, soft: int, hard: int) -> Rlimit:
    return Rlimit(name=name, resource=getattr(resource, f"RLIMIT_{name.upper()}"), soft=soft, hard=hard)


LIMITS = (rlimit("nofile", 20, 40), rlimit("fsize", 4096, 4096), rlimit("cpu", 50, 2**64 - 1))


@pytest.mark.parametrize("uid", USERS)
def test_limits_are_set_and_read_back(uid):
    script = (
        "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -St; ulimit -Ht; head -c 8192 /dev/zero > /tmp/x; stat -c %s /tmp/x"
    )
    ended = harden_run(with_(script, rlimits=LIMITS), uid=uid)
    assert ended.stdout.split() == ["20", "40", "0", "50", "unlimited", "4096"], ended.stderr
    twin = harden_run(with_("head -c 8192 /dev/zero > /tmp/x; stat -c %s /tmp/x"), uid=uid)
    assert twin.stdout == "8192\n"


def test_what_was_read_back_is_reported():
    enforced = run(with_("true", rlimits=LIMITS)).outcome.enforced
    assert enforced is not None
    (found,) = [state.value for state in enforced.controls if state.control is Control.RLIMITS]
    assert found == "core 0 of 0, nofile 20 of 40, fsize 4096 of 4096, cpu 50 of unlimited"


def test_a_limit_that_is_not_in_force_is_found_out():
    planned = plan_of(with_("true", rlimits=LIMITS))
    ops = tuple(
        msgspec.structs.replace(step, strings=(step.strings[0], b"nofile 20 41", *step.strings[2:]))
        if step.code is Code.CHECK and step.slots[0] == Check.RLIMITS
        else step
        for step in planned.ops
    )
    with pytest.raises(HardenError) as caught, start(msgspec.structs.replace(planned, ops=ops), gate=False) as sandbox:
        sandbox.wait(20)
    assert caught.value.message == "rlimits: the kernel says that it is not in force as asked: nofile 20 of 40"


def test_a_core_limit_of_ones_own_replaces_the_default():
    assert run_script(with_("ulimit -Sc", rlimits=(rlimit("core", 512, 512),))) == "1\n"


def test_a_limit_above_hardens_own_is_refused_by_name():
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "from tests.launch.test_process_options import plan_of, rlimit, with_\n"
        "from harden.errors import ControlUnavailable\n"
        "try:\n    plan_of(with_('true', rlimits=(rlimit('nofile', 50, 200),)))\n"
        "except ControlUnavailable as error:\n    print(error.message)\n    print(error.hint)\n"
    )
    ended = python(code)
    assert ended.stdout.splitlines() == [
        "rlimits: cannot be enforced: nofile cannot be 200: the hard limit of harden itself is 100",
        "--rlimit nofile=100, or raise harden's own: prlimit --nofile=200",
    ], ended.stderr


@pytest.mark.parametrize("gid", [None, 33])
def test_groups_as_root(gid):
    spec = msgspec.structs.replace(with_("id -G", groups=(5, 7)), gid=gid, uid=gid)
    assert run_script(spec).split() == [str(gid or 0), "5", "7"]
    assert run_script(msgspec.structs.replace(spec, isolation=Isolation())).split() == [str(gid or 0)]


def test_a_group_that_cannot_exist_inside_is_refused():
    with pytest.raises(UsageError, match="does not exist in the sandbox"):
        plan_of(with_("true", groups=(70000,)))
    with pytest.raises(UsageError, match="more than 32"):
        plan_of(with_("true", groups=tuple(range(40))))


@pytest.mark.requires("nobody")
@pytest.mark.parametrize("change", [{"uid": 0}, {"gid": 0}, {"isolation": Isolation(groups=(5,))}])
def test_a_user_without_ranges_has_his_own_id_only(change):
    ended = harden_run(shell("echo ran", view=View.MINIMAL, **change), uid=NOBODY)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert ended.stderr.startswith("harden: user-namespace: cannot be enforced: only the own id can be mapped: ")
    assert "\nhint: " in ended.stderr
    single = harden_run(shell("cat /proc/self/setgroups; id -u", view=View.MINIMAL), uid=NOBODY)
    assert single.stdout.split() == ["deny", "65534"]


RANGES = """
import ctypes, os, subprocess, sys
uid, script, spec_uid, groups, subuid = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) == 0
assert libc.mount(b"etc", b"/run", b"tmpfs", 0, b"mode=755") == 0
passwd = open("/etc/passwd").read()
added = f"user{uid}:x:{uid}:{uid}::/:/bin/sh\\n" if f":x:{uid}:" not in passwd else ""
for name, text in (("subuid", subuid), ("subgid", subuid), ("passwd", passwd + added)):
    with open(f"/run/{name}", "w") as file:
        file.write(text)
    if not os.path.exists(f"/etc/{name}"):
        sys.exit(f"/etc/{name} is not there")
    assert libc.mount(f"/run/{name}".encode(), f"/etc/{name}".encode(), None, 1 << 12, None) == 0
from tests.sandboxes import harden_run, shell
from harden.model.isolation import Isolation
from harden.model.sandbox import View
isolation = Isolation(groups=tuple(map(int, groups.split())))
ids = {"uid": int(spec_uid), "gid": int(spec_uid), "capabilities": frozenset(range(8))}
spec = shell(script, view=View.MINIMAL, isolation=isolation, **ids)
ended = harden_run(spec, uid=uid)
print(ended.stdout, end="")
print(ended.stderr, end="", file=sys.stderr)
sys.exit(ended.returncode)
"""


@pytest.mark.requires("nobody", "newuidmap")
@pytest.mark.parametrize("uid", [NOBODY, 1234, 70000])
def test_a_users_ranges_are_mapped_and_his_own_id_stays(uid):
    script = "id -u; id -G; cat /proc/self/uid_map; touch /tmp/x; chown 33:7 /tmp/x; stat -c %u:%g /tmp/x"
    ended = python(RANGES, str(uid), script, "0", "5 7", f"{uid}:200000:65536\n")
    assert ended.returncode == 0, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert lines[:2] == [["0"], ["0", "5", "7"]]
    # Inside, as init's namespace has them: 0 is the user's own id, 1 the first of the range.
    assert lines[2:4] == [["0", "1", str(min(uid, 65535))], [str(uid), "0", "1"]]
    assert lines[-1] == ["33:7"]
    assert int(lines[-2][0]) in (uid, uid + 1)


@pytest.mark.requires("nobody", "newuidmap")
def test_a_range_that_newuidmap_refuses_stops_the_start():
    """The plan trusts /etc/subuid; the kernel and newuidmap decide."""
    ended = python(RANGES, "1234", "echo ran", "0", "", "1234:200000:65536\n")
    assert (ended.returncode, ended.stdout) == (0, "ran\n"), ended.stderr
    short = python(RANGES, "1234", "echo ran", "0", "", "1234:200000:1000\n")
    assert (short.returncode, short.stdout) == (125, "")
    assert "/etc/subuid has no range of 65535 ids for user1234" in short.stderr


def test_the_host_name(tmp_path):
    assert run_script(shell("hostname", view=View.MINIMAL, hostname="elsewhere")) == "elsewhere\n"


@pytest.mark.parametrize("uid", USERS)
def test_a_passed_descriptor_keeps_its_number_and_no_other_is_there(uid):
    if uid is not None:
        script = "for n in 3 4 5 6 7 8 9; do test -e /proc/self/fd/$n && echo $n; done; echo none"
        assert harden_run(with_(script), uid=uid).stdout == "none\n"
        return
    reader, writer = os.pipe2(os.O_CLOEXEC)
    text, output = os.pipe2(os.O_CLOEXEC)
    passed = fcntl.fcntl(writer, fcntl.F_DUPFD, 57)
    script = f"echo hello >&{passed}; exec {passed}>&-; ls /proc/$$/fd; read line"
    spec = spec_of("/bin/bash", "-c", script, view=View.MINIMAL, isolation=Isolation(pass_fds=(passed,)))
    stdin, keep = os.pipe2(os.O_CLOEXEC)
    with start(plan_of(spec), gate=False, stdin=stdin, stdout=output) as sandbox:
        for descriptor in (writer, passed, output, stdin):
            os.close(descriptor)
        # To its end, while the program still runs: nobody else has the descriptor.
        with open(reader) as file:
            assert file.read() == "hello\n"
        assert not sandbox.poll()
        os.close(keep)
        with open(text) as file:
            assert file.read().split() == ["0", "1", "2"]
        sandbox.wait(20)


def test_identity_ids_have_no_ranges():
    with pytest.raises(UsageError, match="does not exist"):
        plan_of(msgspec.structs.replace(with_("true"), uid=65536))
    identity = msgspec.structs.replace(with_("id -u"), uid=65536, user_namespace=UserNamespaceMode.IDENTITY)
    assert run_script(identity) == "65536\n"


def test_a_descriptor_that_is_not_there_stops_the_start():
    ended = harden_run(with_("echo ran", pass_fds=(987,)))
    assert (ended.returncode, ended.stdout) == (125, "")
    assert ended.stderr.startswith("harden: cannot keep descriptor 987 for the program: fcntl: EBADF ")


@pytest.mark.requires("x86_64")
def test_groups_that_cannot_be_set_stop_the_start():
    ended = harden_run(with_("echo ran", groups=(5,)), refuse_after=(116,), errno=1)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert "setgroups: EPERM" in ended.stderr


ODD_PERSONALITY = """
import ctypes, errno, sys
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from tests.outer_filter import refuse
from tests.sandboxes import shell
libc = ctypes.CDLL(None)
assert libc.personality(0x0040000 | 0x0200000) == 0  # ADDR_NO_RANDOMIZE, ADDR_COMPAT_LAYOUT
planned = plan(shell("cat /proc/self/personality"), probe())
refuse([135] if sys.argv[1] == "lie" else [], 0)
exec_plan(planned)
"""


@pytest.mark.requires("x86_64")
@pytest.mark.parametrize("uid", USERS)
def test_what_a_caller_switched_off_for_itself_is_on_for_the_program(uid):
    """By setarch -R, or in a debugger: without a random layout of memory a program is easier to take over."""
    started = python(ODD_PERSONALITY, "", uid=uid)
    assert (started.stdout, started.stderr) == ("00000000\n", "")
    twin = python("print(open('/proc/self/personality').read())", prefix=("setarch", "x86_64", "-R"))
    assert twin.stdout.startswith("00040000")
    fooled = python(ODD_PERSONALITY, "lie", uid=uid)
    assert (fooled.returncode, fooled.stdout) == (125, "")
    assert "harden: personality: /proc/self/personality says that it is not" in fooled.stderr
