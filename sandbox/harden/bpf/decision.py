"""What a profile means for each system call: the table that filters are compiled from and proved against.

It knows nothing of BPF. `Decision.action` is the reference answer for one call as the kernel presents it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from harden.bpf.action import ALLOW, ENOSYS, EPERM, KILL_PROCESS, Action
from harden.bpf.fallback import FALLBACKS
from harden.errors import HardenError
from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import name_of, number_of, numbers
from harden.model.syscall_argument import ARGUMENT_ROWS

__all__ = ["NO_SYSCALL", "Comparison", "Condition", "Decision", "Table"]

NO_SYSCALL: Final = 0xFFFFFFFF
"""Number −1: a tracer that skips a call leaves it behind (ptrace(2)); no ABI has a call of that number."""

_DOUBLE: Final = 0xFFFFFFFFFFFFFFFF
_COOKIE_INDEX: Final = 5
"""execve ignores its sixth argument register."""
_COOKIE_CALL: Final = "execve"
_FIRST_UNIFIED: Final = 424
_ABI: Final = {arch.audit_arch: arch for arch in Arch if arch is not Arch.X32}


class Comparison(msgspec.Struct, frozen=True, order=True):
    """Argument `index` (0 to 5) has `value` in the bits of the 64-bit `mask`."""

    index: int
    mask: int
    value: int


Condition = tuple[Comparison, ...]
"""Comparisons that must all hold."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The answers for the calls of one ABI."""

    arch: Arch
    actions: Mapping[int, Action]
    """By number: the answer whatever the arguments are."""
    conditions: Mapping[int, tuple[Condition, ...]]
    """By number: allowed when one condition holds, else `refused`. No number is in both mappings."""
    refused: Action
    unknown: Action
    """The answer to a number in neither mapping."""

    def action(self, number: int, arguments: Sequence[int]) -> Action:
        """The answer to one call."""
        conditions = self.conditions.get(number)
        if conditions is None:
            return self.actions.get(number, self.unknown)
        for condition in conditions:
            for each in condition:
                if arguments[each.index] & each.mask != each.value:
                    break
            else:
                return ALLOW
        return self.refused


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one profile on every ABI."""

    tables: Mapping[Arch, Table]
    exec_cookie: int | None
    """What the launcher's one execve has to carry in its sixth argument; None when execve is granted as it is."""

    @classmethod
    def of(cls, rights: Rights, exec_cookie: int | None = None, *, launcher: Arch = Arch.X86_64) -> Decision:
        """What `rights` mean, plus one execve by a launcher of ABI `launcher` that knows `exec_cookie`.

        The cookie is dropped where the launcher's ABI may execve anyhow. Raises HardenError for a cookie that a
        register could hold by accident.
        """
        if exec_cookie is not None and not (0 < exec_cookie >> 32 < 1 << 32 and exec_cookie & 0xFFFFFFFF):
            raise HardenError(
                f"exec cookie {exec_cookie:#x}: both halves must be non-zero",
                hint="draw 64 random bits again",
            )
        tables = {arch: _granted(rights, arch) for arch in Arch if arch in rights.architectures}
        if exec_cookie is not None:
            base = tables.get(launcher, _nothing(launcher))
            number = number_of(launcher, _COOKIE_CALL)
            assert number is not None
            if base.actions.get(number) == ALLOW:
                exec_cookie = None
            else:
                tables[launcher] = _with_cookie(base, number, exec_cookie)
        return cls(tables=tables, exec_cookie=exec_cookie)

    def action(self, arch: int, number: int, arguments: Sequence[int]) -> Action:
        """The answer to a call: `arch` is an AUDIT_ARCH value, `number` 32 bits wide, the arguments 64."""
        abi: Arch | None = _ABI.get(arch)
        if abi is Arch.X86_64 and number >= X32_SYSCALL_BIT:
            if number == NO_SYSCALL and abi in self.tables:
                return ENOSYS
            abi = Arch.X32
        table = self.tables.get(abi) if abi is not None else None
        if table is None:
            return KILL_PROCESS
        return ENOSYS if number == NO_SYSCALL else table.action(number, arguments)


def _granted(rights: Rights, arch: Arch) -> Table:
    names, unnamed = _calls(rights, arch)
    actions: dict[int, Action] = dict.fromkeys(unnamed, ALLOW)
    conditions: dict[int, tuple[Condition, ...]] = {}
    for name, number in numbers(arch).items():
        if name not in names or (name == "clone3" and name not in rights.syscalls.get(Origin.MANUAL, ())):
            actions[number] = ENOSYS if name in FALLBACKS else EPERM
            continue
        rules = _conditions(rights, arch, name)
        if rules is None or () in rules:
            actions[number] = ALLOW
        elif not rules:
            actions[number] = EPERM
        else:
            conditions[number] = rules
    return Table(arch=arch, actions=actions, conditions=conditions, refused=EPERM, unknown=ENOSYS)


def _calls(rights: Rights, arch: Arch) -> tuple[frozenset[str], frozenset[int]]:
    """The granted calls of `arch`: the names in its table, and numbers that the table does not know.

    A profile names a call `syscall_N` when no table knew it. From 424 on a number means the same everywhere, so a table
    that has learned the name since then takes it; below, the name stays with the architectures that have no such call.
    """
    known = numbers(arch)
    granted = rights.all_syscalls()
    names, unnamed = set(granted & known.keys()), set()
    for name in granted - known.keys():
        number = number_of(arch, name)
        if number is None or (number >= X32_SYSCALL_BIT) != (arch is Arch.X32):
            continue
        now = name_of(arch, number)
        if now not in known:
            unnamed.add(number)
        elif number & ~X32_SYSCALL_BIT >= _FIRST_UNIFIED:
            names.add(now)
    return frozenset(names), frozenset(unnamed)


def _nothing(arch: Arch) -> Table:
    return Table(arch=arch, actions={}, conditions={}, refused=KILL_PROCESS, unknown=KILL_PROCESS)


def _with_cookie(table: Table, number: int, cookie: int) -> Table:
    actions = {each: action for each, action in table.actions.items() if each != number}
    one_shot: Condition = (Comparison(_COOKIE_INDEX, _DOUBLE, cookie),)
    return msgspec.structs.replace(table, actions=actions, conditions={**table.conditions, number: (one_shot,)})


_I386_SHARED_RULES: Final = {"mmap2": "mmap", "fcntl64": "fcntl"}
"""i386 calls that take the same arguments as the call whose rules they follow."""
_I386_SOCKETCALLS: Final = (
    *("socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv"),
    *("sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg"),
    "sendmmsg",
)
"""What the first argument of socketcall(2) selects, from 1 on; the others are behind a pointer."""


def _conditions(rights: Rights, arch: Arch, name: str) -> tuple[Condition, ...] | None:
    """The conditions on a granted call; None when it takes any arguments, () when none can be shown to be allowed."""
    if arch is Arch.I386:
        if name == "mmap" and "mmap" in rights.arguments:
            # i386's mmap takes a pointer to its arguments: a rule on them cannot be kept, so only mmap2 remains.
            return ()
        if name == "socketcall":
            return _socketcall(rights)
        name = _I386_SHARED_RULES.get(name, name)
    rows = rights.argument_values(name)
    if rows is None:
        return None
    arguments = ARGUMENT_ROWS[name].arguments
    found = {
        tuple(
            Comparison(argument.index, argument.mask, value)
            for argument, value in zip(arguments, row, strict=True)
            if value is not None
        )
        for row in rows
    }
    return tuple(sorted(found))


def _socketcall(rights: Rights) -> tuple[Condition, ...] | None:
    if not rights.arguments.keys() & set(_I386_SOCKETCALLS):
        return None
    unruled = (nr for nr, call in enumerate(_I386_SOCKETCALLS, start=1) if call not in rights.arguments)
    return tuple((Comparison(0, 0xFFFFFFFF, number),) for number in unruled)
