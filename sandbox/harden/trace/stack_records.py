"""User stacks as the kernel side sends them: copies of memory, who they belong to, and what was mapped then."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping as Map
from typing import Any, Final, NamedTuple

import msgspec

from harden.trace.layout import (
    ArgumentKey,
    CapabilityKey,
    CountKey,
    Event,
    EventKind,
    Mark,
    RingKey,
    SeenKey,
    SignalKey,
    parse_event,
    parse_records,
    unpack_key,
)
from harden.trace.place import own_name, path_of_names

__all__ = ["Key", "MappedFile", "Mapping", "Owner", "RawStack", "Registers", "StackRecords", "parse_stack_records"]

Key = ArgumentKey | CapabilityKey | CountKey | RingKey | SeenKey | SignalKey
Owner = tuple[type, Key]
"""What a stack is of: the type of its key, and the key. A CountKey is without phase and errno."""

_OWNERS: Final[tuple[type[Any], ...]] = (CountKey, ArgumentKey, SeenKey, CapabilityKey, SignalKey, RingKey)
"""By their number in `enum stack_owner`: what a stack is of."""
_REGISTERS: Final = struct.Struct("=4Q")
_MAPPING: Final = struct.Struct("=6Q")
_PAGE: Final = 4096


class Registers(NamedTuple):
    """`struct user_registers`."""

    instruction: int
    stack: int
    frame: int
    base: int
    """rbp and rbx."""


class MappedFile(NamedTuple):
    """The file of a mapping: what it is on the file system, and its path as the sandbox sees it."""

    path: bytes
    """`memfd:NAME`, without a slash, for what has no path."""
    inode: int
    size: int
    device: int
    """As the kernel numbers it: major << 20 | minor."""


VDSO: Final = MappedFile(b"[vdso]", 0, 0, 0)


class Mapping(NamedTuple):
    """Executable memory from `start` up to `end`; without a file it is anonymous."""

    start: int
    end: int
    offset: int
    """Of `start`, in bytes of the file."""
    file: MappedFile | None


class RawStack(NamedTuple):
    """A copy: `content` begins where the stack register points."""

    registers: Registers
    content: bytes
    reaches_start: bool
    """It is the first thread's, and copied up to where that began."""
    mappings: tuple[Mapping, ...]
    """Sorted by their start."""


class StackRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Every stack that was taken, by its number: they count up in the order they were taken in."""

    stacks: Map[int, RawStack] = {}
    owners: Map[Owner, int] = {}
    """The stack that each was first seen with."""
    losses: Map[str, int] = {}
    """Why something new has no stack, to how often."""


def parse_stack_records(data: bytes, losses: Map[str, int]) -> StackRecords:
    """The records of the ring `user_stacks`; ValueError for one that is cut off."""
    found: dict[int, Event] = {}
    owners: dict[Owner, int] = {}
    spaces: dict[int, list[Mapping]] = defaultdict(list)
    for record in parse_records(data):
        event = parse_event(record)
        if event.kind == EventKind.STACK:
            found[event.key.hash] = event
        elif event.kind == EventKind.STACK_OWNER:
            type_ = _OWNERS[event.key.nr]
            key: Key = unpack_key(type_, event.string)
            owners.setdefault((type_, key), event.key.hash)
        else:
            spaces[event.key.hash].append(_parse_mapping(event.string, event.base, event.marks))
    sorted_spaces = {
        number: tuple(sorted(mappings, key=lambda each: each.start)) for number, mappings in spaces.items()
    }
    return StackRecords(
        stacks={
            number: RawStack(
                registers=Registers(*_REGISTERS.unpack(event.string)),
                content=event.string2,
                reaches_start=bool(event.key.mode),
                mappings=sorted_spaces.get(event.key.anchor, ()),
            )
            for number, event in found.items()
        },
        owners=owners,
        losses={name: count for name, count in losses.items() if count},
    )


def _parse_mapping(data: bytes, names: bytes, marks: int) -> Mapping:
    start, end, pages, inode, size, device = _MAPPING.unpack(data)
    if not marks & Mark.OBJECT:
        return Mapping(start, end, 0, VDSO if inode else None)
    # What is on no path of the sandbox must not be taken for a path.
    is_named = not marks & (Mark.INTERNAL | Mark.DETACHED)
    path = path_of_names(names) if is_named else own_name(names)
    return Mapping(start, end, pages * _PAGE, MappedFile(path, inode, size, device))
