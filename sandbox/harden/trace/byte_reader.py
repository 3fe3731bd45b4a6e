"""Numbers out of bytes that somebody else wrote: every read is checked against the end."""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["ByteReader", "Malformed"]

_LONGEST: Final = 10
"""Bytes of a LEB128 number of 64 bits."""
_FIXED: Final = {
    (size, signed): struct.Struct("<" + (letter if signed else letter.upper()))
    for size, letter in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
    for signed in (False, True)
}


class Malformed(ValueError):
    """The bytes are not what they have to be."""


class ByteReader:
    """Reads little-endian numbers of `data` one after the other; Malformed at its end."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position

    def __bool__(self) -> bool:
        return self.position < len(self._data)

    def fixed(self, size: int, *, signed: bool = False) -> int:
        """A number of 1, 2, 4 or 8 bytes."""
        layout = _FIXED[size, signed]
        if self.position < 0 or self.position + size > len(self._data):
            raise Malformed("a number ends behind the data")
        (value,) = layout.unpack_from(self._data, self.position)
        self.position += size
        return int(value)

    def unsigned(self) -> int:
        """An unsigned LEB128 number."""
        return self._leb128()[0]

    def signed(self) -> int:
        """A signed LEB128 number."""
        value, bits = self._leb128()
        return value - (1 << bits) if value >> (bits - 1) else value

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if not 0 <= size <= len(self._data) - self.position:
            raise Malformed("a block ends behind the data")
        start = self.position
        self.position += size
        return self._data[start : self.position]

    def rest(self) -> bytes:
        """Everything up to the end."""
        return self.take(len(self._data) - self.position)

    def text(self) -> bytes:
        """Up to the next NUL, which is skipped."""
        end = self._data.find(b"\0", self.position)
        if end < 0:
            raise Malformed("a string has no end")
        found = self._data[self.position : end]
        self.position = end + 1
        return found

    def _leb128(self) -> tuple[int, int]:
        value = bits = 0
        for _ in range(_LONGEST):
            byte = self.fixed(1)
            value |= (byte & 0x7F) << bits
            bits += 7
            if not byte & 0x80:
                return value, bits
        raise Malformed("a number of more than 64 bits")
