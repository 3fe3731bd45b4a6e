"""Where the call frame information of an address is in an ELF file: by .eh_frame_hdr (LSB), else all of .eh_frame."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from harden.trace.byte_reader import ByteReader, Malformed
from harden.trace.call_frame import CommonEntry, FrameEntry, Row, parse_entry, pointer, row_at
from harden.trace.elf import PT_GNU_EH_FRAME, Elf

__all__ = ["CallFrameTable"]

_MOST: Final = 16 << 20
"""Bytes of a table that are taken."""
_COUNT_ENCODING: Final = 0x03
_TABLE_ENCODING: Final = 0x3B
"""Pairs of 32-bit distances from the table's own address: what every linker writes."""


class CallFrameTable:
    """The rows of one file."""

    def __init__(self, elf: Elf, spend: Callable[[int], None]) -> None:
        """`spend` is told how many bytes are going to be taken; it raises Malformed when that is too much."""
        self._elf = elf
        self._spend = spend
        self._common_entries: dict[int, CommonEntry] = {}

    def row(self, address: int) -> Row | None:
        """How the caller is found from the instruction at `address`; None where the file does not say."""
        try:
            return self._find(address)
        except Malformed:
            return None

    def _find(self, address: int) -> Row | None:
        starts, entries, base = self._index
        at = bisect.bisect_right(starts, address - base) - 1
        if at < 0:
            return None
        entry = self._parsed(base + entries[at])
        return row_at(entry, address) if 0 <= address - entry.start < entry.size else None

    def _parsed(self, address: int) -> FrameEntry:
        return parse_entry(self._elf.read_at, address, self._common_entries)

    @cached_property
    def _index(self) -> tuple[Sequence[int], Sequence[int], int]:
        """Starts of functions, sorted, and their entries, both as distances from an address."""
        for read in (self._sorted_table, self._scanned):
            try:
                return read()
            except Malformed:
                continue
        return (), (), 0

    def _sorted_table(self) -> tuple[Sequence[int], Sequence[int], int]:
        segment = self._elf.segment(PT_GNU_EH_FRAME)
        if segment is None or segment.size > _MOST:
            raise Malformed("no table")
        self._spend(segment.size)
        data = self._elf.read(segment.offset, segment.size)
        reader = ByteReader(data)
        version, encoding, count_encoding, table_encoding = (reader.fixed(1) for _ in range(4))
        if (version, count_encoding, table_encoding) != (1, _COUNT_ENCODING, _TABLE_ENCODING):
            raise Malformed("a table of an unknown kind")
        pointer(reader, encoding, segment.address)
        pairs = memoryview(reader.take(8 * reader.fixed(4))).cast("i")
        return pairs[::2], pairs[1::2], segment.address

    def _scanned(self) -> tuple[Sequence[int], Sequence[int], int]:
        """Static programs have no table: their entries are read one after the other."""
        section = self._elf.sections.get(b".eh_frame")
        if section is None or section.size > _MOST:
            return (), (), 0
        self._spend(section.size)
        data = self._elf.content(section, _MOST)

        def read(address: int, size: int) -> bytes:
            at = address - section.address
            return data[at : at + size] if at >= 0 else b""

        found = []
        reader = ByteReader(data)
        while reader:
            at = reader.position
            size = reader.fixed(4)
            if not size:
                break
            if ByteReader(reader.take(size)).fixed(4):
                entry = parse_entry(read, section.address + at, self._common_entries)
                found.append((entry.start, section.address + at))
        found.sort()
        return [start for start, _ in found], [entry for _, entry in found], 0
