"""What profiles mean, written out for single calls."""

from __future__ import annotations

import errno

import pytest

from harden.bpf.action import ALLOW, ENOSYS, EPERM, KILL_PROCESS, describe, errno_action
from harden.bpf.decision import Decision
from harden.errors import HardenError
from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import number_of
from tests.bpf.sample_rights import COOKIE, SERVER, SHELL, STATIC

X86_64, I386, AARCH64 = (arch.audit_arch for arch in (Arch.X86_64, Arch.I386, Arch.AARCH64))
ARCH_OF = {X86_64: Arch.X86_64, I386: Arch.I386, AARCH64: Arch.AARCH64}


def ask(rights: Rights, name: str, *arguments: int, arch: int = X86_64, cookie: int | None = None) -> str:
    number = number_of(ARCH_OF[arch], name)
    assert number is not None
    registers = [*arguments, *[0] * (6 - len(arguments))]
    return describe(Decision.of(rights, cookie).action(arch, number, registers))


def test_actions_have_the_values_of_the_kernel():
    assert (ALLOW, KILL_PROCESS) == (0x7FFF0000, 0x80000000)
    assert errno_action(errno.EACCES) == 0x50000 | 13
    with pytest.raises(ValueError, match="not an errno"):
        errno_action(0)


def test_granted_known_newer_and_unheard_of_calls():
    assert ask(SERVER, "read") == "ALLOW"
    assert ask(SERVER, "ptrace") == "ERRNO(EPERM)"
    assert ask(SERVER, "statx") == "ERRNO(ENOSYS)"
    assert ask(SERVER, "io_uring_setup") == "ERRNO(ENOSYS)"
    decision = Decision.of(SERVER)
    assert [decision.action(X86_64, number, [0] * 6) for number in (400, 9999, 2**30 - 1)] == [ENOSYS] * 3


def test_foreign_architectures_and_x32_die():
    decision = Decision.of(SERVER)
    assert decision.action(I386, 3, [0] * 6) == KILL_PROCESS
    assert decision.action(0, 0, [0] * 6) == KILL_PROCESS
    assert decision.action(X86_64, X32_SYSCALL_BIT, [0] * 6) == KILL_PROCESS
    assert decision.action(X86_64, 2**31, [0] * 6) == KILL_PROCESS


def test_a_skipped_call_is_no_call():
    assert Decision.of(SERVER).action(X86_64, 2**32 - 1, [0] * 6) == ENOSYS


@pytest.mark.parametrize("garbage", [0, 0xDEADBEEF << 32])
def test_argument_rules_read_the_width_that_the_kernel_reads(garbage):
    stream, nonblock = 1, 0o4000
    assert ask(SERVER, "socket", garbage | 2, garbage | stream | nonblock, garbage) == "ALLOW"
    assert ask(SERVER, "socket", garbage | 16, stream, 0) == "ERRNO(EPERM)"
    assert ask(SERVER, "socket", garbage | 2, stream, 6) == "ERRNO(EPERM)"
    assert ask(SERVER, "socket", garbage | 1, stream, 12345) == "ALLOW"
    assert ask(SERVER, "mmap", 0, 4096, garbage | 0x6) == "ERRNO(EPERM)"
    assert ask(SERVER, "mmap", 0, 4096, garbage | 0x5) == "ALLOW"


def test_namespaces_cannot_be_had_through_clone_or_clone3():
    newuser, thread = 0x10000000, 0x3D0F00
    assert ask(SERVER, "clone", thread) == "ALLOW"
    assert ask(SERVER, "clone", thread | newuser) == "ERRNO(EPERM)"
    assert ask(SERVER, "clone3") == "ERRNO(ENOSYS)"
    assert ask(SHELL, "clone3") == "ALLOW", "a person granted it"


def test_one_exec_for_who_knows_the_cookie():
    assert ask(STATIC, "execve") == "ERRNO(EPERM)"
    assert ask(STATIC, "execve", 0, 0, 0, 0, 0, COOKIE, cookie=COOKIE) == "ALLOW"
    for near in (COOKIE & 0xFFFFFFFF, COOKIE >> 32 << 32, COOKIE ^ 1, COOKIE ^ 1 << 63, 0):
        assert ask(STATIC, "execve", 0, 0, 0, 0, 0, near, cookie=COOKIE) == "ERRNO(EPERM)"


def test_no_cookie_where_execve_is_granted():
    assert Decision.of(SHELL, COOKIE).exec_cookie is None
    assert ask(SHELL, "execve", cookie=COOKIE) == "ALLOW"
    assert Decision.of(STATIC, COOKIE).exec_cookie == COOKIE


@pytest.mark.parametrize("cookie", [0, 1, 0xFFFFFFFF, 1 << 32, 1 << 64 | 1, -1])
def test_guessable_cookies_are_refused(cookie):
    with pytest.raises(HardenError, match="cookie"):
        Decision.of(STATIC, cookie)


def test_a_32_bit_program_is_started_by_a_64_bit_launcher():
    rights = Rights(architectures=(Arch.I386,), syscalls={Origin.OBSERVED: ("execve", "write")})
    assert ask(rights, "write") == "KILL_PROCESS"
    assert ask(rights, "write", cookie=COOKIE) == "KILL_PROCESS"
    assert ask(rights, "execve", 0, 0, 0, 0, 0, COOKIE, cookie=COOKIE) == "ALLOW"
    assert ask(rights, "execve", cookie=COOKIE) == "KILL_PROCESS"
    assert ask(rights, "write", arch=I386) == "ALLOW"


def test_i386_calls_that_hide_their_arguments():
    assert ask(SHELL, "mmap", 0, 0, 0x4, arch=I386) == "ERRNO(EPERM)"
    assert ask(SHELL, "mmap2", 0, 0, 0x4, arch=I386) == "ALLOW"
    assert ask(SHELL, "mmap2", 0, 0, 0x6, arch=I386) == "ERRNO(EPERM)"
    assert ask(SHELL, "fcntl64", 0, 4, arch=I386) == "ERRNO(EPERM)"
    socket, bind = 1, 2
    assert ask(SHELL, "socketcall", socket, arch=I386) == "ERRNO(EPERM)"
    assert ask(SHELL, "socketcall", bind, arch=I386) == "ALLOW"


def test_calls_known_by_number():
    decision = Decision.of(SHELL)
    assert decision.action(X86_64, 500, [0] * 6) == ALLOW
    assert decision.action(X86_64, 499, [0] * 6) == ENOSYS
    learned = Rights(architectures=(Arch.X86_64, Arch.I386), syscalls={Origin.OBSERVED: ("syscall_462", "syscall_335")})
    assert ask(learned, "mseal") == "ALLOW"
    assert ask(learned, "mseal", arch=I386) == "ALLOW"
    assert Decision.of(learned).action(I386, 335, [0] * 6) == EPERM


def test_an_empty_list_of_combinations_allows_none():
    rights = Rights(architectures=(Arch.X86_64,), syscalls={Origin.OBSERVED: ("ioctl",)}, arguments={"ioctl": {}})
    assert ask(rights, "ioctl", 0, 0x5401) == "ERRNO(EPERM)"
