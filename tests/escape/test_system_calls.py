"""Attacks on the profile's filter: other ABIs, other widths, other calls for the same thing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harden.launch.ops import Code
from harden.model.arch import Arch
from harden.model.sandbox import View
from harden.model.syscall import numbers
from tests.escape.attempts import (
    EVERY_CAPABILITY,
    NOTHING_GRANTED,
    USERS,
    VIEWS,
    attack,
    attack_bare,
    done,
    granted,
    launch,
    spec_for,
)
from tests.sandboxes import plan_of, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc", "x86_64")

KILLED = 128 + 31
"""SIGSYS"""
PROCESSES = "clone3 clone fork wait4 set_robust_list"
SYSCALLS = numbers(Arch.X86_64)


@pytest.mark.attack(24)
@pytest.mark.proves("system calls of other ABIs")
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("mode", ["int80", "x32"])
def test_a_call_by_another_abi_kills(victim, mode, uid):
    program = victim("attack_abi", static=True)
    assert launch(spec_for(program, mode, seccomp=granted("getppid")), uid) == (KILLED, "")
    assert attack(program, "native", uid=uid, seccomp=granted("getppid")) == {"native": "done"}
    assert attack(program, "native", uid=uid, seccomp=granted()) == {"native": "EPERM"}


@pytest.mark.attack(24)
def test_the_twin_without_a_filter_is_answered_by_the_kernel(victim):
    program = victim("attack_abi", static=True)
    assert attack_bare(program, "int80") == {"int80": "done"}
    # Not the filter's signal: this kernel has no x32.
    assert attack_bare(program, "x32") in ({"x32": "ENOSYS"}, {"x32": "done"})


@pytest.mark.attack(22, 24)
@pytest.mark.parametrize("uid", USERS)
def test_nothing_is_typed_by_the_32_bit_ioctl(victim, uid):
    """Under the base filter alone, as while it is traced. Standard input is no terminal: without it, ENOTTY."""
    program = victim("attack_abi", static=True)
    assert attack(program, "int80-tiocsti", uid=uid) == {"int80-tiocsti": "EPERM"}
    assert attack_bare(program, "int80-tiocsti") == {"int80-tiocsti": "ENOTTY"}


def call(victim, name: str, *arguments: int, seccomp=None, uid: int | None = None) -> str:
    program = victim("try_syscall", static=True)
    status, text = launch(spec_for(program, SYSCALLS.get(name, name), *arguments, seccomp=seccomp), uid)
    assert status == 0, text
    return text.split()[1]


EPERM, ENOSYS, DONE = "1", "38", "0"
AF_UNIX, AF_INET, SOCK_STREAM, HIGH = 1, 2, 1, 1 << 32


@pytest.mark.attack(25)
@pytest.mark.proves("system calls by argument")
@pytest.mark.parametrize("uid", USERS)
def test_the_high_half_of_an_int_hides_nothing(victim, uid):
    """socket(2) takes ints: the kernel sees AF_UNIX in (1 << 32) | AF_UNIX, and so must the filter."""
    seccomp = granted(socket=("AF_INET", "SOCK_STREAM", "0"))
    refused = [(AF_UNIX, SOCK_STREAM), (AF_UNIX | HIGH, SOCK_STREAM), (AF_INET, 2), (AF_INET, 2 | HIGH), (17, 3 | HIGH)]
    assert {call(victim, "socket", *arguments, 0, seccomp=seccomp, uid=uid) for arguments in refused} == {EPERM}
    assert call(victim, "socket", AF_INET, SOCK_STREAM, 0, seccomp=seccomp, uid=uid) == DONE
    # The twin, without the filter: it is a socket of the family that the low half names.
    assert call(victim, "socket", AF_UNIX | HIGH, SOCK_STREAM, 0, uid=uid) == DONE


@pytest.mark.attack(26, 35)
@pytest.mark.proves("nested user namespaces")
@pytest.mark.parametrize("capabilities", [frozenset(), EVERY_CAPABILITY], ids=["none", "all"])
@pytest.mark.parametrize("uid", USERS)
def test_no_call_makes_or_joins_a_namespace(victim, uid, capabilities):
    program = victim("attack_clone", static=True)
    seccomp = granted(f"{PROCESSES} openat pidfd_open", clone=("0",))
    attempts = attack(program, uid=uid, seccomp=seccomp, capabilities=capabilities)
    assert done(attempts) == {"thread", "process"}
    # The flags lie in memory: a library that gets ENOSYS goes on with clone(2), with EPERM it gives up.
    assert attempts["clone3-user"] == attempts["clone3-none"] == "ENOSYS"
    assert attempts["clone-user"] == attempts["clone-user-high"] == attempts["unshare-user"] == "EPERM"


@pytest.mark.attack(26, 35)
def test_the_twin_without_a_filter_makes_namespaces(victim):
    attempts = attack_bare(victim("attack_clone", static=True), prefix=("unshare", "--mount"))
    assert {"clone3-user", "clone-user", "clone-user-high", "clone-library", "unshare-user", "thread"} <= done(attempts)


@pytest.mark.attack(27)
@pytest.mark.parametrize("uid", USERS)
def test_calls_that_no_table_knows_do_not_exist(victim, uid):
    """A newer library asks for a newer call first, and falls back on ENOSYS only."""
    for number in ("600", "9999", str(0x3FFFFFFF)):
        assert call(victim, number, seccomp=granted(), uid=uid) == ENOSYS
    assert call(victim, "getppid", seccomp=granted(), uid=uid) == EPERM
    # The twin: a known call that is granted.
    assert call(victim, "getppid", seccomp=granted("getppid"), uid=uid) == DONE


@pytest.mark.attack(28)
@pytest.mark.proves("io_uring")
@pytest.mark.parametrize("uid", USERS)
def test_io_uring_opens_nothing(victim, place, uid):
    """Under a profile, and, where something of the host is writable, under the base filter too."""
    program = victim("attack_uring", static=True)
    assert attack(program, "/usr/bin/env", uid=uid, seccomp=granted("mmap")) == {"setup": "ENOSYS"}
    assert attack(program, "/usr/bin/env", uid=uid, writable=(bytes(place),)) == {"setup": "ENOSYS"}
    # The twin: while it is traced it works, and makes the recording incomplete.
    assert done(attack(program, "/usr/bin/env", uid=uid, view=View.HOST)) == {"setup", "enter", "open"}


@pytest.mark.attack(29)
@pytest.mark.proves("other processes")
@pytest.mark.parametrize("uid", USERS)
def test_no_process_is_taken_over_under_a_profile(victim, uid):
    program = victim("attack_process", static=True)
    seccomp = granted(f"{PROCESSES} openat open pidfd_open pause kill getpid")
    attempts = attack(program, "child", uid=uid, seccomp=seccomp, capabilities=EVERY_CAPABILITY)
    calls = {"process-vm-readv", "process-vm-writev", "pidfd-getfd", "attach", "seize", "kcmp"}
    assert {attempts[name] for name in calls} <= {"EPERM", "ENOSYS"}
    assert calls - {"seize"} <= done(attack(program, "child", uid=uid))


@pytest.mark.attack(4, 29)
@pytest.mark.parametrize("capabilities", [frozenset(), EVERY_CAPABILITY], ids=["none", "all"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_init_is_not_taken_over(victim, uid, view, capabilities):
    """It holds what the payload gave away. A signal can be sent to it, and is ignored: the program came to its end."""
    attempts = attack(victim("attack_process", static=True), "1", uid=uid, view=view, capabilities=capabilities)
    assert done(attempts, but=("kill", "prlimit")) == set()


@pytest.mark.attack(32)
def test_no_new_privs_comes_before_landlock_and_seccomp_before_the_program():
    spec = shell("true", view=View.MINIMAL, seccomp=granted(), landlock=NOTHING_GRANTED)
    codes = [step.code for step in plan_of(spec).ops]
    order = [Code.CAPABILITIES, Code.NO_NEW_PRIVS, Code.LANDLOCK_RESTRICT, Code.CLOSE_FDS, Code.SECCOMP, Code.EXEC]
    places = [codes.index(code) for code in order]
    assert places == sorted(places)
    assert codes.index(Code.EXEC) - [i for i, code in enumerate(codes) if code is Code.SECCOMP][-1] == 1


@pytest.mark.attack(32)
@pytest.mark.proves("no_new_privs")
def test_a_set_user_id_program_gains_nothing(place):
    program = place / "id"
    program.write_bytes(Path("/usr/bin/id").read_bytes())
    program.chmod(0o4755)
    assert launch(spec_for(program, "-u", uid=1000, gid=1000), None) == (0, "1000\n")
    become = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
    twin = subprocess.run([*become, program, "-u"], capture_output=True, text=True, check=True)
    assert twin.stdout == "0\n"
