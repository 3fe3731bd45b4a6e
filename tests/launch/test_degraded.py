"""Each kernel feature is hidden in turn: the program is never started, and the control is named."""

from __future__ import annotations

import errno

import pytest

from harden.model.control import Control
from harden.model.sandbox import FileRule, LandlockRules, SandboxSpec, View
from tests.sandboxes import NOBODY, harden_run, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "landlock", "nobody", "x86_64")

CALLS = {
    "clone3": 435,
    "openat2": 437,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "mount_setattr": 442,
    "pivot_root": 155,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "seccomp": 317,
    "sethostname": 170,
    "close_range": 436,
    "setns": 308,
    "unshare": 272,
    "capset": 126,
    "setresuid": 117,
    "keyctl": 250,
    "ptrace": 101,
    "umount2": 166,
    "mkdirat": 258,
    "pidfd_open": 434,
}
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
USERS = [None, NOBODY]
EVERYTHING_READABLE = LandlockRules(
    handled_files=(1 << 15) - 1,
    handled_network=3,
    scoped=0,
    files=(FileRule(path=b"/", access=1 | 4 | 8),),
    bind_tcp=(),
    connect_tcp=(),
)


def probe_of_all(view: View = View.MINIMAL, **changes: object) -> SandboxSpec:
    return shell("echo the program ran", view=view, landlock=EVERYTHING_READABLE, **changes)


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", [View.HOST, View.MINIMAL])
def test_the_twin_runs_when_nothing_is_hidden(uid, view):
    assert harden_run(probe_of_all(view), uid=uid).stdout == "the program ran\n"


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("call", PROBED)
def test_a_missing_feature_is_named_with_its_control_and_a_fix(call, uid):
    ended = harden_run(probe_of_all(), uid=uid, refuse_before=(CALLS[call],))
    assert (ended.returncode, ended.stdout) == (125, "")
    assert ended.stderr.startswith(f"harden: {PROBED[call]}: cannot be enforced: ")
    assert "ENOSYS" in ended.stderr
    assert "\nhint: " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("refusal", [errno.ENOSYS, errno.EPERM])
@pytest.mark.parametrize("call", CALLS)
def test_harden_exec_fails_closed_when_a_call_is_refused(call, refusal, uid):
    """Each of these calls is one that the plan counted on."""
    ended = harden_run(probe_of_all(), uid=uid, refuse_after=(CALLS[call],), errno=refusal)
    assert (ended.returncode, ended.stdout) == (125, ""), ended.stderr
    assert call.removesuffix("at") in ended.stderr
    assert errno.errorcode[refusal] in ended.stderr
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == ["harden", "hint"]


def test_landlock_can_be_waived_by_name_only():
    hidden = (CALLS["landlock_create_ruleset"],)
    waived = harden_run(probe_of_all(allow_degraded=frozenset({Control.LANDLOCK})), refuse_before=hidden)
    assert (waived.returncode, waived.stdout) == (0, "the program ran\n")
    other = harden_run(probe_of_all(allow_degraded=frozenset({Control.SECCOMP})), refuse_before=hidden)
    assert (other.returncode, other.stdout) == (125, "")


def test_the_file_system_view_cannot_be_waived():
    waived = probe_of_all(allow_degraded=frozenset({Control.FILESYSTEM_VIEW}))
    assert harden_run(waived, refuse_before=(CALLS["openat2"],)).returncode == 125
