"""Reads the file rules out of a compiled AppArmor policy, so that what it allows is known without the kernel.

The policy (`apparmor_parser -S`) holds a state machine for files in YYTD tables: security/apparmor/match.c. State 1
is the start; the accept table gives the permissions of the state that a path ends in, the low 14 bits for the owner of
the file and the next 14 for everybody else.
"""

from __future__ import annotations

import struct

MAGIC = b"\x1b\x5e\x78\x3d"
ACCEPT, BASE, CHECK, DEFAULT, EC, NEXT = 1, 2, 3, 4, 5, 8
DIFF_ENCODED = 0x80000000
EXEC, WRITE, READ, APPEND, LINK, LOCK, MMAP = 1, 2, 4, 8, 16, 32, 64
FORMATS = {1: "B", 2: "H", 4: "I"}


class FileRules:
    """The last state machine of a binary policy, which is the one for files."""

    def __init__(self, policy: bytes) -> None:
        self.tables = _tables(policy, policy.rindex(MAGIC))

    def permissions(self, path: bytes) -> int:
        """What everybody else than the owner may do with `path`."""
        return (self._accepted(path) >> 14) & 0x3FFF

    def owner_permissions(self, path: bytes) -> int:
        """What the owner of `path` may do with it."""
        return self._accepted(path) & 0x3FFF

    def _accepted(self, path: bytes) -> int:
        state = 1
        for byte in path:
            state = self._step(state, byte)
        return self.tables[ACCEPT][state]

    def _step(self, state: int, byte: int) -> int:
        tables = self.tables
        symbol = tables[EC][byte] if EC in tables else byte
        while True:
            base = tables[BASE][state]
            at = (base & 0xFFFFFF) + symbol
            if tables[CHECK][at] == state:
                return int(tables[NEXT][at])
            state = tables[DEFAULT][state]
            if not base & DIFF_ENCODED:
                return int(state)


def _tables(policy: bytes, start: int) -> dict[int, tuple[int, ...]]:
    header_size, size = struct.unpack_from(">II", policy, start + 4)
    tables: dict[int, tuple[int, ...]] = {}
    at, end = start + header_size, start + size
    while at < end:
        kind, width, _, length = struct.unpack_from(">HHII", policy, at)
        if not kind:
            break
        count = length
        tables[kind] = struct.unpack_from(f">{count}{FORMATS[width]}", policy, at + 12)
        at += -(-(12 + count * width) // 8) * 8
    return tables
