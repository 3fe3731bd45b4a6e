"""ELF files, as far as stacks need them: segments, sections and bytes by address (elf(5)).

The file may be anybody's and change while it is read: what it says is checked against bounds, and nothing is mapped.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cached_property
from typing import Final, NamedTuple

from harden.trace.byte_reader import Malformed
from harden.trace.executables import build_id_note

__all__ = ["Elf", "Section", "Segment"]

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER: Final = struct.Struct("<IIQQQQIIQQ")
_MACHINE: Final = 62
"""EM_X86_64."""
_MOST_HEADERS: Final = 4096
_PT_LOAD: Final = 1
_PT_NOTE: Final = 4
PT_GNU_EH_FRAME: Final = 0x6474E550
_EXECUTABLE: Final = 1
_SHT_NOBITS: Final = 8
_NOTES: Final = 4096
"""Bytes of notes that are looked at."""


class Segment(NamedTuple):
    """A program header."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int
    """In the file."""
    align: int


class Section(NamedTuple):
    """A section header; `link` is the number of the section that holds its strings."""

    kind: int
    address: int
    offset: int
    size: int
    link: int
    entry_size: int


class Elf:
    """A 64-bit x86 ELF file behind `read(offset, size)`, which gives fewer bytes at the file's end."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        """Raises Malformed for a file of another kind."""
        self._read = read
        header = read(0, _HEADER.size)
        if len(header) < _HEADER.size or header[:6] != b"\x7fELF\x02\x01":
            raise Malformed("not a 64-bit ELF file")
        fields = _HEADER.unpack(header)
        if fields[2] != _MACHINE:
            raise Malformed("not for x86-64")
        self._program_headers = (fields[5], fields[9], fields[10])
        self._section_headers = (fields[6], fields[11], fields[12])
        self._names = fields[13]

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes of the file; Malformed where it has fewer."""
        found = self._read(offset, size)
        if len(found) != size:
            raise Malformed("the file ends before what it describes")
        return found

    def read_at(self, address: int, size: int) -> bytes:
        """Up to `size` bytes that the file has for an address; Malformed where it has none."""
        for segment in self._loaded:
            inside = address - segment.address
            if 0 <= inside < segment.size:
                return self._read(segment.offset + inside, min(size, segment.size - inside))
        raise Malformed("an address that the file has nothing for")

    def address_of(self, offset: int) -> int | None:
        """The address of the code at a file offset, None if it is not executable."""
        for segment in self._loaded:
            if segment.flags & _EXECUTABLE and 0 <= offset - segment.offset < segment.size:
                return offset - segment.offset + segment.address
        return None

    def segment(self, kind: int) -> Segment | None:
        """The first segment of a kind."""
        return next((segment for segment in self.segments if segment.kind == kind), None)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Every program header."""
        return tuple(
            Segment(kind, flags, offset, address, size, align)
            for kind, flags, offset, address, _, size, _, align in self._table(*self._program_headers, _PROGRAM_HEADER)
        )

    @cached_property
    def _loaded(self) -> tuple[Segment, ...]:
        return tuple(segment for segment in self.segments if segment.kind == _PT_LOAD)

    @cached_property
    def sections(self) -> dict[bytes, Section]:
        """Sections with content by name; empty where the file has no names for them."""
        found = [
            (name, Section(kind, address, offset, size, link, entry_size))
            for name, kind, _, address, offset, size, link, _, _, entry_size in self._table(
                *self._section_headers, _SECTION_HEADER
            )
        ]
        if self._names >= len(found):
            return {}
        names = self.content(found[self._names][1], 1 << 20)
        return {
            names[name : max(names.find(b"\0", name), name)]: section
            for name, section in reversed(found)
            if section.kind != _SHT_NOBITS
        }

    def section_number(self, number: int) -> Section | None:
        """The section with a number."""
        offset, size, count = self._section_headers
        if not 0 < number < count or size < _SECTION_HEADER.size:
            return None
        fields = _SECTION_HEADER.unpack(self.read(offset + number * size, _SECTION_HEADER.size))
        return Section(fields[1], fields[3], fields[4], fields[5], fields[6], fields[9])

    def content(self, section: Section, most: int) -> bytes:
        """What a section holds; Malformed when that is more than `most` bytes."""
        if section.size > most:
            raise Malformed(f"a section of {section.size} bytes")
        return self.read(section.offset, section.size)

    @cached_property
    def build_id(self) -> str:
        """The GNU build id in hexadecimal; empty for a file without one."""
        for segment in self.segments:
            if segment.kind == _PT_NOTE:
                found = build_id_note(self._read(segment.offset, min(segment.size, _NOTES)), segment.align)
                if found:
                    return found
        return ""

    def _table(self, offset: int, size: int, count: int, layout: struct.Struct) -> list[tuple[int, ...]]:
        if not count:
            return []
        if size < layout.size or count > _MOST_HEADERS:
            raise Malformed("headers of an unknown size")
        data = self.read(offset, size * count)
        return [layout.unpack_from(data, index * size) for index in range(count)]
