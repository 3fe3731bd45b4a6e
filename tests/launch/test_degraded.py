"""Each kernel feature is hidden in turn: the program is never started, and the control is named."""

from __future__ import annotations

import errno
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harden.model.arch import Arch
from harden.model.control import Control
from harden.model.sandbox import FileRule, LandlockRules, SandboxSpec, View
from harden.model.syscall import numbers
from tests.launch.hidden import Ended, Hidden, run_hidden
from tests.sandboxes import CAP_NET_BIND_SERVICE, NOBODY, ROOT, harden_run, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "landlock", "nobody", "x86_64")

SYSCALLS = numbers(Arch.X86_64)
USED = re.findall(
    r"\w+",
    """
    capset chdir clone3 close_range fchdir fsconfig fsmount fsopen getcwd keyctl landlock_add_rule
    landlock_create_ruleset landlock_restrict_self memfd_create mkdirat mknodat mount_setattr move_mount
    open_tree openat2 personality pidfd_open pidfd_send_signal pipe2 pivot_root prlimit64 ptrace recvfrom seccomp sendto
    sethostname setns setresgid setresuid setsid setsockopt signalfd4 socket socketpair statx symlinkat umount2
    unshare fstatfs
    """,
)
AS_ROOT = ["setgroups", "flock"]
"""An ordinary user has one id, and no range to claim."""
OPTIONS = {
    "PR_SET_NO_NEW_PRIVS": ("prctl", 0, 38),
    "PR_CAPBSET_DROP": ("prctl", 0, 24),
    "PR_CAP_AMBIENT": ("prctl", 0, 47),
    "PR_SET_KEEPCAPS": ("prctl", 0, 8),
    "PR_SET_DUMPABLE": ("prctl", 0, 4),
    "PR_SET_PDEATHSIG": ("prctl", 0, 1),
    "SECCOMP_SET_MODE_FILTER": ("seccomp", 0, 1),
    "PTRACE_SEIZE": ("ptrace", 0, 0x4206),
    "F_GET_SEALS": ("fcntl", 1, 1034),
    "FSCONFIG_CMD_CREATE": ("fsconfig", 1, 6),
    "SIOCSIFFLAGS": ("ioctl", 1, 0x8914),
    "RLIMIT_CORE": ("prlimit64", 1, 4),
}
"""Parts of a call that a filter can hide by themselves: call, argument, value."""
ORDINARY = frozenset(
    re.findall(
        r"\w+",
        """
    arch_prctl brk clone close dup2 execve execveat exit_group fchmod fchown getdents64 getegid geteuid getgid getpid
    fcntl fork fstat futex getrandom gettid getuid ioctl kill lseek mkdir mmap mprotect munmap newfstatat open openat
    poll prctl read readlink readlinkat recvmsg rseq rt_sigaction rt_sigprocmask set_robust_list set_tid_address stat
    getppid sysinfo uname unlinkat wait4 write
        """,
    )
)
"""Without these no program gets this far, Python included; of prctl the options count, fchown and fchmod belong to
the other view's test below."""
OF_FEATURES = frozenset({"access", "bpf", "fsetxattr", "getxattr"})
"""Tried for what this sandbox does not ask for: newuidmap(1) and device lists; and the marks of cgroups, which Python
makes. Their own tests hide them."""
SAYS = {
    "prlimit64": "rlimit",
    "signalfd4": "signalfd",
    "sendto": "send",
    "setresgid": "setres",
    "flock": "/run/harden/ids",
}
"""The call as harden-exec names it, where that is another name."""
PYTHON = {"pipe2"}
"""The probe itself is started with it: hidden that early, Python says so."""
SPAWN = {("clone3", errno.EPERM)}
"""posix_spawn(3), by which the probe is started, does without clone3 where it is ENOSYS only."""
SILENT = {"recvfrom", "F_GET_SEALS"}
"""init cannot hear the supervisor without the one, and ends; the other's answer is what says that the plan is sealed.
What is printed tells what had to end, not the call."""
KEPT_WITH_A_NOTE = {"keyctl"}
"""Whose filter hides keyctl(2) from harden hides it from the program too: its keyring is of no use to it."""
PROBED = {
    "clone3": "pid-namespace",
    "openat2": "filesystem-view",
    "move_mount": "filesystem-view",
    "fsopen": "filesystem-view",
    "fsmount": "filesystem-view",
    "mount_setattr": "filesystem-view",
    "landlock_create_ruleset": "landlock",
    "seccomp": "seccomp",
}
REFUSALS = [errno.ENOSYS, errno.EPERM]
USERS = [None, NOBODY]
EVERYTHING_READABLE = LandlockRules(
    handled_files=(1 << 15) - 1,
    handled_network=3,
    scoped=0,
    files=(FileRule(path=b"/", access=1 | 4 | 8),),
    bind_tcp=(),
    connect_tcp=(),
)
FEATURES = [*USED, *AS_ROOT, *OPTIONS]


def probe_of_all(view: View = View.MINIMAL, **changes: object) -> SandboxSpec:
    return shell("echo the program ran", view=view, landlock=EVERYTHING_READABLE, **changes)


def hidden(feature: str, refusal: int, early: bool) -> Hidden:
    call, *option = OPTIONS.get(feature, (feature,))
    return Hidden(SYSCALLS[str(call)], refusal, (int(option[0]), int(option[1])) if option else None, early)


@functools.cache
def matrix(uid: int | None, early: bool) -> dict[tuple[str, int], Ended]:
    """Every feature, refused in every way, at once."""
    cells = [(feature, refusal) for feature in FEATURES for refusal in REFUSALS]
    spec = probe_of_all(capabilities=frozenset({CAP_NET_BIND_SERVICE}))
    ended = run_hidden(spec, [hidden(feature, refusal, early) for feature, refusal in cells], uid)
    return dict(zip(cells, ended, strict=True))


@pytest.mark.attack(31, 33, 38)
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", [View.HOST, View.MINIMAL])
def test_the_twin_runs_when_nothing_is_hidden(uid, view):
    assert harden_run(probe_of_all(view), uid=uid).stdout == "the program ran\n"


@pytest.mark.attack(31, 33, 38)
@pytest.mark.proves("fails closed")
@pytest.mark.xdist_group("degraded")
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("call", PROBED)
def test_a_missing_feature_is_named_with_its_control_and_a_fix(call, uid):
    for refusal in REFUSALS:
        ended = matrix(uid, True)[call, refusal]
        assert (ended.status, ended.output) == (125, "")
        if (call, refusal) in SPAWN:
            assert ended.message.startswith("harden: execve(harden-exec): EPERM")
            continue
        assert ended.message.startswith(f"harden: {PROBED[call]}: cannot be enforced: ")
        assert errno.errorcode[refusal] in ended.message
        assert "\nhint: " in ended.message


@pytest.mark.attack(31, 33)
@pytest.mark.proves("fails closed")
@pytest.mark.xdist_group("degraded")
@pytest.mark.parametrize("early", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("feature", FEATURES)
def test_nothing_starts_without_a_feature_and_its_call_is_named(feature, uid, early):
    """Hidden from the probe on, and only once the plan counts on it."""
    for refusal in REFUSALS:
        ended = matrix(uid, early)[feature, refusal]
        if (feature in AS_ROOT and uid is not None) or (early and feature in KEPT_WITH_A_NOTE):
            assert (ended.status, ended.output) == (0, "the program ran\n"), ended
            continue
        call = str(OPTIONS.get(feature, (feature,))[0])
        if early and feature in PYTHON:
            assert (ended.status, ended.output) == (99, "")
            continue
        assert (ended.status, ended.output) == (125, ""), ended
        if feature in SILENT or (early and (feature, refusal) in SPAWN):
            assert ended.message.startswith("harden: ")
            continue
        assert SAYS.get(call, call.removesuffix("at")) in ended.message, ended
        assert errno.errorcode[refusal] in ended.message, ended
        assert [line.split(": ")[0] for line in ended.message.splitlines()] == ["harden", "hint"], ended


_STRACED = """
import sys
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from harden.model.sandbox import View
from tests.launch.test_degraded import probe_of_all
exec_plan(plan(probe_of_all(View(sys.argv[1]), capabilities=frozenset({10})), probe()))
"""


@pytest.mark.attack(31)
@pytest.mark.requires("strace")
@pytest.mark.parametrize("view", View)
def test_the_matrix_holds_every_call_that_the_launcher_makes(view, tmp_path):
    """strace(1) sees all of it up to where harden-exec wants to trace the program itself."""
    trace = tmp_path / "trace"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
    command = ["strace", "-f", "-qq", "-o", str(trace), sys.executable, "-c", _STRACED, view.value]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert "ptrace: EPERM" in ended.stderr
    calls = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", launcher_part(trace), re.MULTILINE))
    assert calls - {*USED, *AS_ROOT, *ORDINARY, *OF_FEATURES} == set()
    assert len(calls & set(USED)) > 30


def launcher_part(trace: Path) -> str:
    """From the first harden-exec on: before it there is Python only."""
    text = trace.read_text(errors="replace")
    return text[text.index('"/proc/self/fd/') if '"/proc/self/fd/' in text else 0 :]


@pytest.mark.xdist_group("degraded")
@pytest.mark.parametrize("call", ["fchown", "fchmod"])
def test_the_folders_of_an_overlay_get_their_owner_and_mode_or_nothing_starts(call):
    for refusal in REFUSALS:
        ended = harden_run(probe_of_all(View.HOST), refuse_after=(SYSCALLS[call],), errno=refusal)
        assert (ended.returncode, ended.stdout) == (125, "")
        assert "fchown" in ended.stderr


@pytest.mark.attack(31)
def test_landlock_can_be_waived_by_name_only():
    hidden_call = (SYSCALLS["landlock_create_ruleset"],)
    waived = harden_run(probe_of_all(allow_degraded=frozenset({Control.LANDLOCK})), refuse_before=hidden_call)
    assert (waived.returncode, waived.stdout) == (0, "the program ran\n")
    other = harden_run(probe_of_all(allow_degraded=frozenset({Control.SECCOMP})), refuse_before=hidden_call)
    assert (other.returncode, other.stdout) == (125, "")


@pytest.mark.attack(31)
def test_the_file_system_view_cannot_be_waived():
    waived = probe_of_all(allow_degraded=frozenset({Control.FILESYSTEM_VIEW}))
    assert harden_run(waived, refuse_before=(SYSCALLS["openat2"],)).returncode == 125
