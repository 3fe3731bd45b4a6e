"""The files that stacks lead through: opened by the path that the sandbox shows, used if they are what was mapped."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from typing import Final

from harden.trace.byte_reader import Malformed
from harden.trace.call_frame import Row
from harden.trace.call_frame_table import CallFrameTable
from harden.trace.elf import Elf
from harden.trace.executables import Resolve
from harden.trace.stack_records import MappedFile
from harden.trace.symbol_table import Symbol, SymbolTable

__all__ = ["MappedObject", "ObjectStore"]

_BYTES: Final = 192 << 20
"""What is read of all files together, so that a program cannot keep the recorder busy with what it maps."""
_FILES: Final = 512
_MINOR_BITS: Final = 20


class MappedObject:
    """One file: what it says of the code at an offset. Nothing of a file that is no longer what was mapped."""

    def __init__(self, elf: Elf | None, spend: Callable[[int], None]) -> None:
        self._elf = elf
        self._frames = CallFrameTable(elf, spend) if elf else None
        self._symbols = SymbolTable(elf, spend) if elf else None
        self._rows: dict[int, Row | None] = {}
        self.build_id = _build_id(elf) if elf else ""

    def row(self, offset: int) -> Row | None:
        """How the caller is found from the instruction at an offset of the file."""
        if offset not in self._rows:
            address = self._address(offset)
            self._rows[offset] = self._frames.row(address) if self._frames and address is not None else None
        return self._rows[offset]

    def symbol(self, offset: int) -> Symbol | None:
        """The function at an offset of the file."""
        address = self._address(offset)
        return self._symbols.find(address) if self._symbols and address is not None else None

    def _address(self, offset: int) -> int | None:
        try:
            return self._elf.address_of(offset) if self._elf else None
        except Malformed:
            return None


def _build_id(elf: Elf) -> str:
    try:
        return elf.build_id
    except Malformed:
        return ""


class ObjectStore:
    """Each file once; `close()` gives their descriptors up."""

    def __init__(self, resolve: Resolve | None) -> None:
        self._resolve = resolve
        self._objects: dict[MappedFile, MappedObject] = {}
        self._descriptors: list[int] = []
        self._left = _BYTES

    def __enter__(self) -> ObjectStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What was found stays; nothing more is read."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def get(self, file: MappedFile) -> MappedObject:
        """The object of a mapped file."""
        if file not in self._objects:
            self._objects[file] = MappedObject(self._open(file), self._spend)
        return self._objects[file]

    def _open(self, file: MappedFile) -> Elf | None:
        host = self._resolve(file.path) if self._resolve and file.path.startswith(b"/") else None
        if host is None or len(self._descriptors) >= _FILES:
            return None
        try:
            descriptor = os.open(host, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        self._descriptors.append(descriptor)
        if not _is_same(os.fstat(descriptor), file):
            return None
        try:
            return Elf(partial(_read, descriptor))
        except Malformed:
            return None

    def _spend(self, size: int) -> None:
        if size > self._left:
            raise Malformed("enough was read")
        self._left -= size


def _is_same(found: os.stat_result, file: MappedFile) -> bool:
    """Where stat(2) has other numbers than the kernel itself (btrfs), nothing is."""
    device = os.major(found.st_dev) << _MINOR_BITS | os.minor(found.st_dev)
    return stat.S_ISREG(found.st_mode) and (found.st_ino, found.st_size, device) == (file.inode, file.size, file.device)


def _read(descriptor: int, offset: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except (OSError, OverflowError, ValueError) as error:
        raise Malformed(f"read of {size} bytes at {offset}: {error}") from None
