"""The system call arguments that matter: one row per call, read by the recorder, the generator and the filter.

Only scalar arguments of calls that are not hot are here: a filter cannot follow pointers (seccomp(2)), and a rule on a
hot call costs its place in the kernel's allow bitmap. Numbers that are of one run only are not here either: processes
(whom signals went to is recorded by kind), descriptors, sizes. `mask` keeps the bits that decide (for `clone` the
namespaces, for `mmap` write and execute), at the width the kernel reads: an `int` argument is compared on its low 32
bits only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from harden.model.syscall_argument_names import (
    ADDRESS_FAMILIES,
    ARCH_PRCTL_CODES,
    BPF_COMMANDS,
    CLONE_FLAGS,
    FCNTL_COMMANDS,
    IO_URING_REGISTRATIONS,
    IOCTL_REQUESTS,
    KEYCTL_OPERATIONS,
    MEMFD_FLAGS,
    MESSAGE_COMMANDS,
    MOUNT_FLAGS,
    PERF_FLAGS,
    PERSONALITIES,
    PRCTL_OPTIONS,
    PROTECTION_BITS,
    PTRACE_REQUESTS,
    QUOTA_COMMANDS,
    RESOURCES,
    SCHEDULING_POLICIES,
    SECCOMP_OPERATIONS,
    SEMAPHORE_COMMANDS,
    SHM_COMMANDS,
    SHMAT_FLAGS,
    SOCKET_LEVELS,
    SOCKET_OPTIONS,
    SOCKET_TYPES,
    UNMOUNT_FLAGS,
    USERFAULTFD_FLAGS,
)

__all__ = [
    "ANY",
    "ARGUMENT_ROWS",
    "POINTED_ROWS",
    "RECORDED_ROWS",
    "Argument",
    "ArgumentKind",
    "ArgumentRow",
    "parse_values",
    "render_values",
]

ANY: Final = "*"
_INT: Final = 0xFFFFFFFF
_NAMESPACES: Final = 0x7E020000
_CLONE_NEWTIME: Final = 0x80
_IPC: Final = _INT & ~0x100
"""Without IPC_64, which the C library adds on some machines."""
_LONG: Final = 0xFFFFFFFFFFFFFFFF
_OPCODE: Final = _INT & ~0x80000000
"""Without IORING_REGISTER_USE_REGISTERED_RING."""
_QUOTA: Final = _INT & ~0xFF
"""Without the kind of quota: of a user, a group or a project."""
_POLICY: Final = _INT & ~0x40000000
"""Without SCHED_RESET_ON_FORK."""


class ArgumentKind(enum.StrEnum):
    """How a value is written: one name, names joined by `|`, or a number."""

    ENUM = "enum"
    FLAGS = "flags"
    NUMBER = "number"


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument: the kernel's name, its position (0 to 5), the bits that count, and what values are called."""

    name: str
    index: int
    kind: ArgumentKind
    mask: int = _INT
    names: Mapping[int, str] = {}
    names_by_first: Mapping[int, Mapping[int, str]] = {}
    """For a value whose meaning depends on the row's first argument (`optname` on `level`)."""


class ArgumentRow(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of one call that are recorded and can be ruled on, at most three."""

    syscall: str
    arguments: tuple[Argument, ...]


def _enum(name: str, index: int, names: Mapping[int, str], *, mask: int = _INT) -> Argument:
    return Argument(name=name, index=index, kind=ArgumentKind.ENUM, names=names, mask=mask)


def _flags(name: str, index: int, names: Mapping[int, str], *, mask: int = _INT) -> Argument:
    return Argument(name=name, index=index, kind=ArgumentKind.FLAGS, names=names, mask=mask)


_SOCKET: Final = (
    _enum("family", 0, ADDRESS_FAMILIES),
    _enum("type", 1, SOCKET_TYPES, mask=0xF),
    Argument(name="protocol", index=2, kind=ArgumentKind.NUMBER),
)
_SOCKET_OPTION: Final = (
    _enum("level", 1, SOCKET_LEVELS),
    Argument(name="optname", index=2, kind=ArgumentKind.ENUM, names_by_first=SOCKET_OPTIONS),
)
_PROTECTION: Final = _flags("prot", 2, PROTECTION_BITS, mask=0x6)

ARGUMENT_ROWS: Final[Mapping[str, ArgumentRow]] = {
    row.syscall: row
    for row in (
        ArgumentRow(syscall="arch_prctl", arguments=(_enum("code", 0, ARCH_PRCTL_CODES),)),
        ArgumentRow(syscall="bpf", arguments=(_enum("cmd", 0, BPF_COMMANDS),)),
        ArgumentRow(syscall="clone", arguments=(_flags("flags", 0, CLONE_FLAGS, mask=_NAMESPACES),)),
        ArgumentRow(syscall="fcntl", arguments=(_enum("cmd", 1, FCNTL_COMMANDS),)),
        ArgumentRow(syscall="getsockopt", arguments=_SOCKET_OPTION),
        ArgumentRow(syscall="io_uring_register", arguments=(_enum("opcode", 1, IO_URING_REGISTRATIONS, mask=_OPCODE),)),
        ArgumentRow(syscall="ioctl", arguments=(_enum("cmd", 1, IOCTL_REQUESTS),)),
        ArgumentRow(syscall="keyctl", arguments=(_enum("option", 0, KEYCTL_OPERATIONS),)),
        ArgumentRow(syscall="memfd_create", arguments=(_flags("flags", 1, MEMFD_FLAGS),)),
        ArgumentRow(syscall="mmap", arguments=(_PROTECTION,)),
        ArgumentRow(syscall="mount", arguments=(_flags("flags", 3, MOUNT_FLAGS),)),
        ArgumentRow(syscall="mprotect", arguments=(_PROTECTION,)),
        ArgumentRow(syscall="msgctl", arguments=(_enum("cmd", 1, MESSAGE_COMMANDS, mask=_IPC),)),
        ArgumentRow(syscall="perf_event_open", arguments=(_flags("flags", 4, PERF_FLAGS, mask=_LONG),)),
        ArgumentRow(syscall="personality", arguments=(_enum("personality", 0, PERSONALITIES),)),
        ArgumentRow(syscall="pkey_mprotect", arguments=(_PROTECTION,)),
        ArgumentRow(syscall="prctl", arguments=(_enum("option", 0, PRCTL_OPTIONS),)),
        ArgumentRow(syscall="prlimit64", arguments=(_enum("resource", 1, RESOURCES),)),
        ArgumentRow(syscall="ptrace", arguments=(_enum("request", 0, PTRACE_REQUESTS),)),
        ArgumentRow(syscall="quotactl", arguments=(_enum("cmd", 0, QUOTA_COMMANDS, mask=_QUOTA),)),
        ArgumentRow(syscall="quotactl_fd", arguments=(_enum("cmd", 1, QUOTA_COMMANDS, mask=_QUOTA),)),
        ArgumentRow(syscall="sched_setscheduler", arguments=(_enum("policy", 1, SCHEDULING_POLICIES, mask=_POLICY),)),
        ArgumentRow(syscall="seccomp", arguments=(_enum("op", 0, SECCOMP_OPERATIONS),)),
        ArgumentRow(syscall="semctl", arguments=(_enum("cmd", 2, SEMAPHORE_COMMANDS, mask=_IPC),)),
        ArgumentRow(syscall="setns", arguments=(_flags("flags", 1, CLONE_FLAGS),)),
        ArgumentRow(syscall="setrlimit", arguments=(_enum("resource", 0, RESOURCES),)),
        ArgumentRow(syscall="setsockopt", arguments=_SOCKET_OPTION),
        ArgumentRow(syscall="shmat", arguments=(_flags("shmflg", 2, SHMAT_FLAGS, mask=0o170000),)),
        ArgumentRow(syscall="shmctl", arguments=(_enum("cmd", 1, SHM_COMMANDS, mask=_IPC),)),
        ArgumentRow(syscall="socket", arguments=_SOCKET),
        ArgumentRow(syscall="socketpair", arguments=_SOCKET),
        ArgumentRow(syscall="sysfs", arguments=(Argument(name="option", index=0, kind=ArgumentKind.NUMBER),)),
        ArgumentRow(syscall="umount2", arguments=(_flags("flags", 1, UNMOUNT_FLAGS),)),
        ArgumentRow(syscall="unshare", arguments=(_flags("flags", 0, CLONE_FLAGS, mask=_NAMESPACES | _CLONE_NEWTIME),)),
        ArgumentRow(syscall="userfaultfd", arguments=(_flags("flags", 0, USERFAULTFD_FLAGS),)),
    )
}
"""Every ruled call, by name."""

POINTED_ROWS: Final[Mapping[str, ArgumentRow]] = {
    row.syscall: row
    for row in (
        ArgumentRow(syscall="clone3", arguments=(_flags("flags", 0, CLONE_FLAGS, mask=_NAMESPACES | _CLONE_NEWTIME),)),
    )
}
"""Calls whose one argument is 64 bits at the address that the argument at `index` is: recorded, and out of a filter's
sight. The first member of struct clone_args are its flags (clone3(2))."""

RECORDED_ROWS: Final[Mapping[str, ArgumentRow]] = {**ARGUMENT_ROWS, **POINTED_ROWS}
"""Every call whose arguments are recorded."""


def render_values(row: ArgumentRow, values: Sequence[int | None]) -> tuple[str, ...]:
    """One combination as a profile writes it, `*` for None; the inverse of `parse_values`."""
    first = values[0]
    return tuple(
        ANY if value is None else _render(argument, value, first)
        for argument, value in zip(row.arguments, values, strict=True)
    )


def parse_values(row: ArgumentRow, texts: Sequence[str]) -> tuple[int | None, ...]:
    """The numbers of one combination, None for `*`; ValueError for an unknown name or a value outside the mask."""
    if len(texts) != len(row.arguments):
        wanted = ", ".join(argument.name for argument in row.arguments)
        raise ValueError(f"{row.syscall} takes {len(row.arguments)} value(s) ({wanted}), not {len(texts)}")
    values: list[int | None] = []
    for argument, text in zip(row.arguments, texts, strict=True):
        value = None if text == ANY else _parse(argument, text, values[0] if values else None)
        if value is not None and value & ~argument.mask:
            raise ValueError(
                f"{row.syscall}: {text!r} has bits outside {argument.mask:#x}, which {argument.name} keeps"
            )
        values.append(value)
    return tuple(values)


def _table(argument: Argument, first: int | None) -> Mapping[int, str]:
    return argument.names_by_first.get(first, {}) if argument.names_by_first and first is not None else argument.names


def _render(argument: Argument, value: int, first: int | None) -> str:
    names = _table(argument, first)
    if argument.kind is ArgumentKind.FLAGS and value:
        known = [bit for bit in names if bit and value & bit == bit]
        rest = value & ~sum(known)
        return "|".join([names[bit] for bit in sorted(known)] + ([hex(rest)] if rest else []))
    return names.get(value, str(value) if value < 4096 else hex(value))


def _parse(argument: Argument, text: str, first: int | None) -> int:
    by_name = {name: number for number, name in _table(argument, first).items()}
    total = 0
    for part in text.split("|") if argument.kind is ArgumentKind.FLAGS else (text,):
        if part in by_name:
            total |= by_name[part]
        else:
            try:
                total |= int(part, 0)
            except ValueError:
                raise ValueError(f"{argument.name}: unknown value {part!r}") from None
    return total
