"""Functions of an ELF file by address: .symtab, and .dynsym where it was stripped."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable
from functools import cached_property
from typing import Final, NamedTuple

from harden.trace.byte_reader import Malformed
from harden.trace.elf import Elf

__all__ = ["Symbol", "SymbolTable"]

_ENTRY: Final = struct.Struct("<IBBHQQ")
_MOST: Final = 16 << 20
_LONGEST: Final = 512
"""Bytes of a name that are kept."""
_BEYOND: Final = 1 << 64
"""More than any size."""
_FUNCTIONS: Final = frozenset({2, 10})
"""STT_FUNC and STT_GNU_IFUNC."""


class Symbol(NamedTuple):
    """A function's name, and how far into it an address is."""

    name: bytes
    offset: int


class SymbolTable:
    """The functions of one file."""

    def __init__(self, elf: Elf, spend: Callable[[int], None]) -> None:
        """`spend` as of CallFrameTable."""
        self._elf = elf
        self._spend = spend

    def find(self, address: int) -> Symbol | None:
        """The function that `address` is in; None where no symbol says so: the nearest one below may be another's."""
        found, text = self._functions
        at = bisect.bisect_right(found, (address, _BEYOND, 0)) - 1
        if at < 0:
            return None
        start = found[at][0]
        same = found[bisect.bisect_left(found, (start, 0, 0)) : at + 1]
        size = max(size for _, size, _ in same)
        # Written in assembler, some have no size: they end where the next one begins.
        if size and address - start >= size:
            return None
        return Symbol(min((_name(text, at) for _, _, at in same), key=_plainness), address - start)

    @cached_property
    def _functions(self) -> tuple[list[tuple[int, int, int]], bytes]:
        """Start, size and place of the name of each function, sorted, and the names."""
        for section in (b".symtab", b".dynsym"):
            try:
                found = self._read(section)
            except Malformed:
                continue
            if found[0]:
                return found
        return [], b""

    def _read(self, name: bytes) -> tuple[list[tuple[int, int, int]], bytes]:
        section = self._elf.sections.get(name)
        strings = self._elf.section_number(section.link) if section else None
        if section is None or strings is None:
            return [], b""
        self._spend(section.size + strings.size)
        table, text = self._elf.content(section, _MOST), self._elf.content(strings, _MOST)
        whole = len(table) // _ENTRY.size * _ENTRY.size
        return sorted(
            (start, size, at)
            for at, info, _, place, start, size in _ENTRY.iter_unpack(table[:whole])
            if info & 0x0F in _FUNCTIONS and place
        ), text


def _name(text: bytes, at: int) -> bytes:
    end = text.find(b"\0", at, at + _LONGEST)
    return text[at : end if end >= 0 else at + _LONGEST]


def _plainness(name: bytes) -> tuple[int, int, bytes]:
    """`write` before `__write`."""
    return len(name) - len(name.lstrip(b"_")), len(name), name
