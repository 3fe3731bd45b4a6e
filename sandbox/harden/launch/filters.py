"""The seccomp filters that a sandbox has beside the profile's own: classic BPF, seccomp(2)."""

from __future__ import annotations

import errno
import os
import stat
import struct
import termios
from collections.abc import Sequence
from typing import Final

from harden.errors import HardenError
from harden.kernel.host import native_arch
from harden.kernel.uapi import AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64, TIOCLINUX, TIOCSTI
from harden.model.arch import Arch
from harden.model.refused_anyway import UNREADABLE
from harden.model.sandbox import SandboxSpec, View
from harden.model.syscall import numbers

__all__ = ["base_filter", "lock_down_filter", "notify_filter", "shows_host_writable"]

# linux/bpf_common.h
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

# linux/seccomp.h; offsets into struct seccomp_data
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL: Final = 0x80000000
_NOTIFY: Final = 0x7FC00000
_NUMBER: Final = 0
_ARCH: Final = 4
_ARGUMENTS: Final = 16

_ABIS: Final = ((Arch.X86_64, Arch.X32), (Arch.I386,), (Arch.AARCH64,))
"""Those that share an AUDIT_ARCH value stand together."""

_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_DEVICE: Final = 0o020000
"""Set in S_IFCHR and S_IFBLK, and in no other type that mknod(2) takes."""
_MAKES_FILE: Final = os.O_CREAT | 0o20000000
"""O_CREAT, and the bit that O_TMPFILE has beside O_DIRECTORY (asm-generic/fcntl.h): the same on every architecture."""

_SET_MODE: Final = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1}
"""Call → which argument is the mode."""
_MAKE_NODE: Final = {"mknod": 1, "mknodat": 2}
_OPEN: Final = {"open": (1, 2), "openat": (2, 3)}
"""Call → which arguments are the flags and the mode."""
_INIT_CALLS: Final = {
    "x86_64": (AUDIT_ARCH_X86_64, (15, 60, 61, 219, 231, 1), 16),
    "aarch64": (AUDIT_ARCH_AARCH64, (139, 93, 260, 128, 94, 64), 29),
}
"""rt_sigreturn, exit, wait4, restart_syscall, exit_group, write (to tell of a stop); and ioctl"""


def _instruction(code: int, jump_true: int, jump_false: int, operand: int) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, operand)


_PERMIT: Final = _instruction(_RETURN, 0, 0, _ALLOW)


def _load_argument(index: int) -> bytes:
    """The low half (both supported machines are little-endian): modes, flags and requests are 32 bits at most."""
    return _instruction(_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, 0, 0, _ERRNO | number)


def _refuse_bits(index: int, bits: int) -> list[bytes]:
    return [_load_argument(index), _instruction(_JUMP_ANY_BIT, 0, 1, bits), _refuse(errno.EPERM), _PERMIT]


def _terminal_rule() -> list[bytes]:
    """The kernel takes an ioctl request as an unsigned int, so that its high half must not be compared: a filter that
    compares all 64 bits is passed by (1 << 32) | TIOCSTI."""
    return [
        _load_argument(1),
        _instruction(_JUMP_EQUAL, 2, 0, TIOCSTI),
        _instruction(_JUMP_EQUAL, 1, 0, TIOCLINUX),
        _PERMIT,
        _refuse(errno.EPERM),
    ]


def _set_id_rules() -> list[tuple[tuple[str, ...], list[bytes]]]:
    """Calls and what to do about them, for nothing to get a set-id bit or to become a device.

    chown(2) and chgrp clear the bits, mkdir(2) ignores them, and file capabilities are another matter.
    """
    rules = [((name,), _refuse_bits(index, _SET_ID)) for name, index in _SET_MODE.items()]
    rules += [((name,), _refuse_bits(index, _SET_ID | _DEVICE)) for name, index in _MAKE_NODE.items()]
    for name, (flags, mode) in _OPEN.items():
        rule = [_load_argument(flags), _instruction(_JUMP_ANY_BIT, 1, 0, _MAKES_FILE), _PERMIT]
        rules.append(((name,), [*rule, *_refuse_bits(mode, _SET_ID)]))
    return [*rules, (UNREADABLE, [_refuse(errno.ENOSYS)])]


def _chunk(known: Sequence[int], rule: list[bytes]) -> list[bytes]:
    """The rule where the number, which is loaded, is one of these; else on to what comes next."""
    last = len(known) - 1
    matches = [_instruction(_JUMP_EQUAL, last - i, 0 if i < last else len(rule), nr) for i, nr in enumerate(known)]
    return [*matches, *rule] if known else []


def shows_host_writable(spec: SandboxSpec) -> bool:
    """Whether something of the host is shown such that changes reach it."""
    return any(bind.writable for bind in spec.binds) or (spec.view is View.MINIMAL and bool(spec.writable))


def base_filter(*, host_writable: bool = False) -> bytes:
    """Refuses ioctl(TIOCSTI) and ioctl(TIOCLINUX), which type into a terminal, with EPERM.

    With `host_writable` (see `shows_host_writable`) nothing can get a set-user-id or set-group-id bit either, nor can
    a device be made: nosuid and nodev hold inside only, while the host's users could execute and open what is left
    behind in its folders. Foreign architectures are covered, every other call is allowed: while a program is traced,
    what it does with them has to be seen.
    """
    rules = [(("ioctl",), _terminal_rule()), *(_set_id_rules() if host_writable else [])]
    program = [_instruction(_LOAD, 0, 0, _ARCH)]
    for abis in _ABIS:
        block = [_instruction(_LOAD, 0, 0, _NUMBER)]
        for names, rule in rules:
            known = [numbers(abi)[name] for abi in abis for name in names if name in numbers(abi)]
            block += _chunk(known, rule)
        block.append(_PERMIT)
        program += [_instruction(_JUMP_EQUAL, 0, len(block), abis[0].audit_arch), *block]
    return b"".join([*program, _PERMIT])


def lock_down_filter() -> bytes:
    """What PID 1 may still do once the sandbox is built: wait for children, and end.

    On a terminal it keeps two descriptors: to tell the supervisor of a stop, and to change the terminal's foreground
    process group (TIOCSPGRP).
    """
    machine = os.uname().machine
    if machine not in _INIT_CALLS:
        raise HardenError(
            f"harden does not know the system call numbers of {machine}", hint="x86_64 and aarch64 are supported"
        )
    arch, numbers, ioctl = _INIT_CALLS[machine]
    rules = [_instruction(_JUMP_EQUAL, len(numbers) - i + 3, 0, number) for i, number in enumerate(numbers)]
    rules += [
        _instruction(_JUMP_EQUAL, 0, 2, ioctl),
        _load_argument(1),
        _instruction(_JUMP_EQUAL, 1, 0, termios.TIOCSPGRP),
    ]
    program = [
        _instruction(_LOAD, 0, 0, _ARCH),
        _instruction(_JUMP_EQUAL, 0, len(rules) + 1, arch),
        _instruction(_LOAD, 0, 0, _NUMBER),
        *rules,
        _instruction(_RETURN, 0, 0, _KILL),
        _PERMIT,
    ]
    return b"".join(program)


def notify_filter(cookie: int) -> bytes:
    """Hands every call of every ABI to the listener, but for the one that gives the listener away.

    That is a sendmsg with the 64 bits of `cookie` in the sixth argument register, which sendmsg ignores.
    """
    native = native_arch()
    sixth = _ARGUMENTS + 8 * 5
    wanted = (
        (_ARCH, native.audit_arch),
        (_NUMBER, numbers(native)["sendmsg"]),
        (sixth, cookie & 0xFFFFFFFF),
        (sixth + 4, cookie >> 32),
    )
    program = []
    for position, (offset, value) in enumerate(wanted):
        to_end = 2 * (len(wanted) - 1 - position) + 1
        program += [_instruction(_LOAD, 0, 0, offset), _instruction(_JUMP_EQUAL, 0, to_end, value)]
    return b"".join([*program, _PERMIT, _instruction(_RETURN, 0, 0, _NOTIFY)])
