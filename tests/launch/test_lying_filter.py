"""An outer filter answers 0 for the kernel, and nothing is done: the program never runs, and the call is named.

Root's starts are made in a mount and a UTS namespace of their own: one that is fooled would mount on the host.
"""

from __future__ import annotations

import errno
import functools

import msgspec
import pytest

from harden.errors import HardenError
from harden.launch.ops import Check, Code
from harden.launch.spawn import start
from harden.model.isolation import Isolation
from harden.model.outcome import Outcome
from harden.model.sandbox import UserNamespaceMode, View
from tests.launch.hidden import Ended, Hidden, run_hidden
from tests.launch.test_degraded import AS_ROOT, OPTIONS, SYSCALLS, USED, hidden, probe_of_all
from tests.sandboxes import CAP_NET_BIND_SERVICE, NOBODY, harden_run, plan_of, python, run, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "landlock", "nobody", "x86_64")

USERS = [None, NOBODY]
ALONE = ("unshare", "--mount", "--uts")
ORDINARY = ("poll", "recvmsg", "wait4", "dup2", "uname", "rt_sigprocmask", "execve")
"""Of the calls that every program needs, those that Python can do without while it starts harden-exec."""
WITHOUT_EFFECT = {
    "chdir": "it is in / already",
    "personality": "it is that of a plain process",
    "pidfd_send_signal": "0 is what it asks whether a process is there",
    "setgroups": "the caller has no groups",
    "PR_SET_KEEPCAPS": "the ids stay, and the capabilities with them",
    "PR_SET_NO_NEW_PRIVS": "the filter's maker set it",
}
"""What is asked for holds already in this spec: the tests below ask for more."""
HOLDS_FOR_A_USER = {"setresuid", "setresgid", "close_range", "flock"}
"""An ordinary user has one id, which is his, no range to claim, and no descriptor that goes further."""
EXEC = {"execve", "landlock_add_rule"}
"""The program cannot be executed: 126."""
INSTEAD = {
    "capset": "prctl",
    "fchdir": "pivot_root",
    "fsconfig": "fsmount",
    "FSCONFIG_CMD_CREATE": "fsmount",
    "mkdirat": "",
    "landlock_restrict_self": "landlock",
    "mknodat": "openat2",
    "pivot_root": "umount2",
    "umount2": "the old root is still mounted",
    "prlimit64": "rlimits",
    "RLIMIT_CORE": "rlimits",
    "recvfrom": "",
    "sendto": "send",
    "setresgid": "setresuid",
    "signalfd4": "signalfd",
    "PR_CAPBSET_DROP": "CapBnd",
    "PR_CAP_AMBIENT": "CapAmb",
    "PR_SET_DUMPABLE": "",
    "SECCOMP_SET_MODE_FILTER": "seccomp",
    "PTRACE_SEIZE": "ptrace",
    "F_GET_SEALS": "sealed",
    "SIOCSIFFLAGS": "ioctl",
    "PR_SET_PDEATHSIG": "prctl",
    "close_range": "descriptor",
    "uname": "sethostname",
    "fstatfs": "",
    "landlock_add_rule": "execve",
}
"""Where it shows, when that is not in the call itself."""
FEATURES = [*USED, *AS_ROOT, *OPTIONS, *ORDINARY]
EARLY = {"pipe2", "uname"}
"""The probe itself is started with them: hidden that early, Python says so."""


@functools.cache
def matrix(uid: int | None, early: bool) -> dict[str, Ended]:
    spec = probe_of_all(capabilities=frozenset({CAP_NET_BIND_SERVICE}))
    cells = [hidden(feature, 0, early) for feature in FEATURES]
    return dict(zip(FEATURES, run_hidden(spec, cells, uid, prefix=() if uid else ALONE), strict=True))


@pytest.mark.attack(31, 33)
@pytest.mark.proves("read back from the kernel")
@pytest.mark.xdist_group("lying")
@pytest.mark.parametrize("early", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("feature", FEATURES)
def test_nothing_starts_on_the_word_of_a_filter(feature, uid, early):
    ended = matrix(uid, early)[feature]
    holds = feature in WITHOUT_EFFECT or (uid is not None and feature in HOLDS_FOR_A_USER)
    if holds and ended.status == 0:
        assert ended.output == "the program ran\n"
        return
    assert ended.output == ""
    if early and feature in EARLY:
        assert ended.status in (99, 125)
        return
    assert ended.status == (126 if feature in EXEC and "execute" in ended.message else 125), ended
    assert ended.message.startswith("harden: ")
    call = str(OPTIONS.get(feature, (feature,))[0])
    if not early:
        assert INSTEAD.get(feature, call) in ended.message


@pytest.mark.attack(31)
@pytest.mark.xdist_group("lying")
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("call", ["poll", "recvmsg", "wait4"])
def test_what_harden_waits_with_ends_it_by_name(call, uid):
    """It would ask again and again for ever."""
    cells = [Hidden(SYSCALLS[call], number, None, early) for number in (38, 1) for early in (False, True)]
    for cell, ended in zip(cells, run_hidden(probe_of_all(), cells, uid), strict=True):
        assert (ended.status, ended.output) == (125, ""), ended
        assert f"{call}" in ended.message
        assert errno.errorcode[cell.errno] in ended.message


MORE = [
    ("setgroups", {"isolation": Isolation(groups=(5,))}, '"groups":[]'),
    ("setresuid", {"uid": 33, "gid": 44}, "setresuid"),
    ("setresgid", {"uid": 33, "gid": 44}, "setresuid"),
    ("PR_SET_KEEPCAPS", {"uid": 33, "capabilities": frozenset({CAP_NET_BIND_SERVICE})}, "capset: EPERM"),
    ("chdir", {"cwd": b"/usr"}, "chdir: it says that it was done"),
]


@pytest.mark.attack(33, 35)
@pytest.mark.parametrize(("feature", "changes", "said"), MORE, ids=[row[0] for row in MORE])
def test_what_a_spec_asks_for_beyond_that_is_noticed_too(feature, changes, said):
    spec = probe_of_all(**changes)
    lie, twin = run_hidden(spec, [hidden(feature, 0, False), hidden("unshare", 0, False)], None, prefix=ALONE)
    assert (lie.status, lie.output) == (125, "")
    assert said in lie.message
    assert harden_run(spec).stdout == "the program ran\n"
    assert twin.status == 125


INSIDE = [
    ("setgroups", 0, {"isolation": Isolation(groups=(5,))}, '"groups":[]'),
    ("setresuid", 33, {"uid": 33, "gid": 44}, '"uid":0'),
    ("setresgid", 44, {"uid": 33, "gid": 44}, '"gid":0'),
]


@pytest.mark.parametrize(("call", "number", "changes", "said"), INSIDE, ids=[row[0] for row in INSIDE])
def test_the_ids_of_the_program_are_read_back(call, number, changes, said):
    """Init becomes 0 for real; what the program was to become is only said."""
    option = (0, number) if call != "setgroups" else (0, 1)
    (ended,) = run_hidden(probe_of_all(**changes), [Hidden(SYSCALLS[call], 0, option)], None, prefix=ALONE)
    assert (ended.status, ended.output) == (125, "")
    assert "the kernel says that the program's process is not as asked" in ended.message
    assert said in ended.message


def test_no_new_privs_that_was_not_set_is_noticed():
    lie = Hidden(SYSCALLS["prctl"], 0, (0, 38), no_new_privs=False)
    twin = Hidden(SYSCALLS["prctl"], 0, (0, 12345), no_new_privs=False)
    ended, ran = run_hidden(probe_of_all(), [lie, twin], None, prefix=ALONE)
    assert (ended.status, ended.output) == (125, "")
    # Without it a filter needs CAP_SYS_ADMIN, which init has given up by then.
    assert "seccomp: EACCES" in ended.message
    assert (ran.status, ran.output) == (0, "the program ran\n")


_LEAK = """
import os, sys
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from tests.launch.test_degraded import SYSCALLS, probe_of_all
from tests.outer_filter import refuse
planned = plan(probe_of_all(), probe())
os.set_inheritable(os.open("/", os.O_RDONLY), True)
if sys.argv[1] == "lie":
    refuse([SYSCALLS["close_range"]], 0)
exec_plan(planned)
"""


@pytest.mark.attack(1, 2)
@pytest.mark.parametrize("uid", USERS)
def test_a_descriptor_that_was_not_closed_is_noticed(uid):
    ended = python(_LEAK, "lie", uid=uid)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert "of harden is open" in ended.stderr
    assert python(_LEAK, "twin", uid=uid).stdout == "the program ran\n"


@pytest.mark.parametrize("uid", [None, 33])
def test_a_mismatch_of_ids_stops_the_program(uid):
    """The same plan, with other ids expected of it."""
    planned = plan_of(shell("echo ran", view=View.MINIMAL, uid=uid, gid=uid))
    ids = b"%d %d " % (uid or 0, uid or 0)

    def expecting(text: bytes) -> Outcome:
        ops = tuple(
            msgspec.structs.replace(step, strings=(b"", text, b"", b""))
            if step.code is Code.CHECK and step.slots[0] == Check.PROCESS
            else step
            for step in planned.ops
        )
        with start(msgspec.structs.replace(planned, ops=ops), gate=False) as sandbox:
            return sandbox.wait(20)

    enforced = expecting(ids).enforced
    assert enforced is not None
    assert enforced.identity is not None
    assert (enforced.identity.uid, enforced.identity.gid, enforced.identity.groups) == (uid or 0, uid or 0, ())
    for wrong in (b"1 %d " % (uid or 0), b"%d 1 " % (uid or 0), ids + b"5", b"4294967295 0 "):
        with pytest.raises(HardenError, match="the program's process is not as asked"):
            expecting(wrong)


@pytest.mark.parametrize("mode", ["shifted", "identity", "host"])
def test_ids_are_told_as_they_are_inside(mode):
    spec = shell(
        "id -u; id -g; id -G",
        uid=33,
        gid=44,
        isolation=Isolation(groups=(5, 7)),
        user_namespace=UserNamespaceMode(mode),
    )
    ended = run(spec)
    assert ended.text.split() == ["33", "44", "44", "5", "7"]
    assert ended.outcome.enforced is not None
    found = ended.outcome.enforced.identity
    assert found is not None
    assert (found.uid, found.gid, found.groups) == (33, 44, (5, 7))
