"""Attacks through ids, groups and capabilities."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from harden.cli.options import parse_user
from harden.errors import UsageError
from harden.launch.spawn import start
from harden.model.capability import Capability
from tests.escape.attempts import EVERY_CAPABILITY, USERS, VIEWS, attack, attack_bare, done
from tests.sandboxes import NOBODY, plan_of, python, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc")

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NOTHING = "0" * 16
_SOME = "+chown,+sys_admin,+net_bind_service"
WITH_INHERITABLE = ("setpriv", f"--inh-caps={_SOME}", f"--ambient-caps={_SOME}")


@pytest.mark.attack(34)
@pytest.mark.proves("capability sets")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_capability_is_held_or_gained(victim, uid, view):
    attempts = attack(victim("attack_ids", static=True), uid=uid, view=view)
    assert {attempts[name] for name in SETS} == {NOTHING}
    assert done(attempts) == set()
    assert attempts["NoNewPrivs"] == "1"


_FROM_INHERITABLE = """
import json, sys
from tests.escape.attempts import attack
print(json.dumps(attack(sys.argv[1])))
"""


@pytest.mark.attack(34)
def test_what_the_caller_lets_its_children_inherit_is_not_inherited(victim):
    program = victim("attack_ids", static=True)
    ended = python(_FROM_INHERITABLE, str(program), prefix=WITH_INHERITABLE)
    assert {name: json.loads(ended.stdout)[name] for name in SETS} == dict.fromkeys(SETS, NOTHING)
    twin = attack_bare(program, prefix=WITH_INHERITABLE)
    assert all(int(twin[name], 16) & 1 << 21 for name in SETS)


@pytest.mark.attack(34)
@pytest.mark.parametrize("uid", USERS)
def test_every_set_holds_just_what_is_granted(victim, uid):
    granted = frozenset({int(Capability.CAP_NET_BIND_SERVICE), int(Capability.CAP_CHOWN)})
    attempts = attack(victim("attack_ids", static=True), uid=uid, capabilities=granted)
    assert {attempts[name] for name in SETS} == {f"{sum(1 << number for number in granted):016x}"}
    assert done(attempts) == set()


@pytest.mark.attack(37)
@pytest.mark.proves("shifted ids")
def test_a_range_of_ids_ends_where_it_ends(victim):
    """As root: with every capability other ids of the range can be had, and none beside it."""
    attempts = attack(victim("attack_ids", static=True), capabilities=EVERY_CAPABILITY)
    mine = {"setgroups-none", "setgroups", "setuid-daemon", "setgid-daemon", "raise-inheritable", "securebits"}
    assert done(attempts) <= mine
    assert {"setgroups", "setuid-daemon"} <= done(attempts)
    assert attempts["setuid-unmapped"] == "EINVAL"


@pytest.mark.attack(37)
def test_a_single_id_has_no_groups_and_no_other_ids(victim):
    """As an ordinary user: dropping a group can be a right too, where a file denies it to that group."""
    attempts = attack(victim("attack_ids", static=True), uid=NOBODY, capabilities=EVERY_CAPABILITY)
    ids = {
        name for name in attempts if name.startswith(("setuid", "setgid", "setgroups", "setfsuid", "allow", "write"))
    }
    assert len(ids) >= 8
    assert done(attempts) & ids == set()


@pytest.mark.attack(37)
def test_low_ids_inside_are_high_ids_outside():
    with start(plan_of(shell("exec sleep 60"))) as sandbox:
        status = Path(f"/proc/{sandbox.ready(10).payload_pid}/status").read_text()
    ids = {int(word) for line in status.splitlines() if line.startswith(("Uid:", "Gid:")) for word in line.split()[1:]}
    assert min(ids) >= 1 << 30
    # The twin: a process of this test has the ids of the host.
    assert "Uid:\t0\t" in Path("/proc/self/status").read_text()


_IGNORING = """
import os, select, signal
from pathlib import Path
from harden.launch.spawn import start
from tests.sandboxes import features, plan_of, shell
features()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reader, writer = os.pipe2(os.O_CLOEXEC)
with start(plan_of(shell("echo up; exec sleep 60")), stdout=writer) as sandbox:
    ready = sandbox.ready(10)
    sandbox.open_gate()
    assert os.read(reader, 3) == b"up\\n"
    uid_map = Path(f"/proc/{ready.payload_pid}/uid_map").read_text().split()
    # The supervisor stands still: whatever it would still do with the number of init, it does later.
    os.kill(sandbox.pid, signal.SIGSTOP)
    os.kill(ready.init_pid, signal.SIGKILL)
    end = os.pidfd_open(ready.init_pid)
    assert select.select([end], [], [], 10)[0]
    state = Path(f"/proc/{ready.init_pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    print(state, uid_map[0], int(uid_map[1]) >= 1 << 30)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.kill(sandbox.pid, signal.SIGCONT)
"""


@pytest.mark.attack(36)
@pytest.mark.requires("cgroup2")
def test_the_number_of_a_dead_init_is_not_given_to_another_process():
    """The maps are written by number: the number stays init's until the supervisor has looked, even for a caller that
    ignores SIGCHLD, whose children are reaped by the kernel."""
    ended = python(_IGNORING)
    assert ended.stdout == "Z 0 True\n", ended
    code = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); pid = os.fork() or os._exit(0)"
    twin = python(f"{code}\ntry: os.waitpid(pid, 0)\nexcept ChildProcessError: print(os.path.exists(f'/proc/{{pid}}'))")
    assert twin.stdout == "False\n", twin


@pytest.mark.attack(36)
def test_a_caller_that_ignores_the_end_of_its_children_gets_an_answer():
    command = [sys.executable, "-m", "harden", "doctor", "--json"]
    code = (
        f"import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv({sys.executable!r}, {command!r})"
    )
    ended = python(code)
    assert json.loads(ended.stdout), ended
    assert ended.returncode in (0, 1)


@pytest.mark.attack(42)
@pytest.mark.parametrize(
    "text",
    ["", ":", "0:", ":0", "-1", "+0", "0x0", "0 ", " 0", "0\n", "٠", "0:0:0", "0,0", "65535", "4294967295",
     "4294967296", "0:-1", "0:4294967296", "no-such-user", "../root", "root:root", "1e3"],
)  # fmt: skip
def test_a_user_is_a_number_or_a_name_of_the_host(text):
    """4294967295 is -1, "no change", to setresuid(2), and a name that is looked up inside is the program's choice."""
    with pytest.raises(UsageError):
        parse_user(text)


@pytest.mark.attack(42)
def test_the_twin_users_are_taken_as_they_are_meant():
    assert [parse_user(text) for text in ("0", "1000", "1000:5", "root")] == [(0, 0), (1000, 1000), (1000, 5), (0, 0)]
