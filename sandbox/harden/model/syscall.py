"""System call names and numbers, per architecture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from harden.model import syscall_table
from harden.model.arch import X32_SYSCALL_BIT, Arch

__all__ = ["highest_number", "is_known", "name_of", "number_of", "numbers"]


def _expand(rows: tuple[tuple[int, str], ...]) -> dict[str, int]:
    return {name: first + offset for first, names in rows for offset, name in enumerate(names.split())}


@cache
def numbers(arch: Arch) -> Mapping[str, int]:
    """Every known call of `arch`, name to number; x32's numbers carry __X32_SYSCALL_BIT."""
    match arch:
        case Arch.X86_64:
            return MappingProxyType(_expand(syscall_table.X86_64))
        case Arch.I386:
            return MappingProxyType(_expand(syscall_table.I386))
        case Arch.AARCH64:
            return MappingProxyType(_expand(syscall_table.AARCH64))
        case Arch.X32:
            own = _expand(syscall_table.X32)
            shared = {name: number for name, number in _expand(syscall_table.X86_64).items() if name not in own}
            return MappingProxyType({name: nr | X32_SYSCALL_BIT for name, nr in (shared | own).items()})


@cache
def _names(arch: Arch) -> Mapping[int, str]:
    return MappingProxyType({number: name for name, number in numbers(arch).items()})


def name_of(arch: Arch, number: int) -> str:
    """The name of a call; `syscall_N` for a number that no table knows."""
    return _names(arch).get(number, f"syscall_{number}")


def number_of(arch: Arch, name: str) -> int | None:
    """The number of a call on `arch`, also for a name made by `name_of`; None where `arch` has no such call."""
    known = numbers(arch).get(name)
    if known is None and name.startswith("syscall_") and name[len("syscall_") :].isdecimal():
        return int(name[len("syscall_") :])
    return known


@cache
def highest_number(arch: Arch) -> int:
    """The newest call known on `arch`: a higher number is a call that this version of harden has never heard of."""
    return max(numbers(arch).values())


def is_known(name: str) -> bool:
    """Whether any architecture has a call of this name."""
    return any(name in numbers(arch) for arch in Arch)
