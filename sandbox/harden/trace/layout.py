"""What the kernel side and user space exchange, as layout.h has it: keys of maps, events of the ring buffer.

All integers are in the machine's byte order; no structure has padding that is not named.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

from harden.model.seen import First

__all__ = [
    "COMBINATIONS",
    "DISTINCT",
    "EXEC_NR",
    "FLAG_NAMED",
    "KILLED_NR",
    "LOSSES",
    "SERVING",
    "STACK_LOSSES",
    "STATE",
    "SYSCALLS",
    "ArgumentKey",
    "CapabilityKey",
    "CapabilityMark",
    "CombinationKey",
    "CountKey",
    "Event",
    "EventKind",
    "Mark",
    "RefusalKey",
    "RingKey",
    "SeenKey",
    "SignalKey",
    "State",
    "parse_event",
    "parse_records",
    "parse_state",
    "unpack_entries",
    "unpack_key",
    "unpack_tallies",
]

SYSCALLS: Final = 512
"""Numbers of the native ABI that have rows and per-task counters."""
COMBINATIONS: Final = 64
"""Distinct arguments kept per executable and call."""
DISTINCT: Final = 1 << 19
"""Distinct operations on paths and sockets that are kept."""
SERVING: Final = 1 << 31
"""In a key's executable number: the thread was in the phase `serving`, else `init`."""
EXEC_NR: Final = 0xFFFF
"""Number in a SeenKey that counts execs: `executable` is who called (0: the launcher), `hash` what ran."""

KILLED_NR: Final = 0xFFFE
"""Number in a SeenKey of a process that outlived the program and was killed: `hash` is its process id."""
FLAG_NAMED: Final = 1 << 31
"""In a file key's flags: the name by which an object was reached that has an event of its own."""

LOSSES: Final = ("ring_full", "map_full", "no_memory", "tasks", "unreadable", "truncated", "detached", "mappings")


STACK_LOSSES: Final = ("ring_full", "limit", "mappings", "unreadable")
STATE: Final = struct.Struct(f"={len(LOSSES)}QQ8IQ{len(STACK_LOSSES)}QQQ")


class State(NamedTuple):
    """`struct recorder_state` in `.data.state`."""

    losses: Mapping[str, int]
    tasks: int
    """That live now."""
    tasks_peak: int
    descriptors_peak: int
    """The highest descriptor that a process had, plus 1."""
    descriptors_asked: int
    """The highest soft RLIMIT_NOFILE that a process set itself and that was not just the hard one; 0: none did."""
    unflushed: int
    """Calls that tasks count themselves, as the last `sum_task` found them."""
    stack_losses: Mapping[str, int]


class CountKey(NamedTuple):
    """Calls made (`error` 0), or those of them that ended with an errno."""

    executable: int
    abi: int
    nr: int
    error: int


class ArgumentKey(NamedTuple):
    """One combination of a call's arguments; unused values are 0."""

    executable: int
    nr: int
    value0: int
    value1: int
    value2: int


class CombinationKey(NamedTuple):
    """A call whose distinct combinations are counted."""

    executable: int
    nr: int


class RefusalKey(NamedTuple):
    """A call that a seccomp filter refused, with the arguments of its row; unused values are 0."""

    executable: int
    nr: int
    abi: int
    error: int
    """An errno; negative: the signal that the filter killed with."""
    value0: int
    value1: int
    value2: int


class SeenKey(NamedTuple):
    """One distinct thing done to a path or socket."""

    hash: int
    anchor: int
    executable: int
    nr: int
    error: int
    flags: int
    mode: int


class CapabilityKey(NamedTuple):
    """A capability check; `stack` is negative where the kernel stack was not taken."""

    executable: int
    nr: int
    stack: int
    capability: int
    marks: int


class SignalKey(NamedTuple):
    """A signal that a task sent; `target` is an enum signal_target."""

    executable: int
    nr: int
    """Of the call that sent it."""
    signal: int
    target: int
    abi: int


class RingKey(NamedTuple):
    """An operation submitted to an io_uring ring."""

    executable: int
    nr: int
    """-1: no call; the thread that the kernel keeps for the ring took it from there."""
    opcode: int
    abi: int


class CapabilityMark:
    """Bits of CapabilityKey.marks."""

    NOAUDIT: Final = 1
    OVERRIDDEN: Final = 2
    HOST: Final = 4
    GRANTED: Final = 8
    COMPAT: Final = 16
    NESTED: Final = 32


class EventKind:
    """Values of Event.kind."""

    EXECUTABLE: Final = 0
    FILE: Final = 1
    SOCKET: Final = 2
    ANSWER: Final = 16
    """`string` is a DNS message that a name server sent."""
    TYPE: Final = 17
    """`string` is the name of a file system's type, the key's flags are those of the mount."""
    STACK: Final = 3
    STACK_OWNER: Final = 4
    MAPPING: Final = 5


class Mark:
    """Bits of Event.marks."""

    OBJECT: Final = 1
    TRUNCATED: Final = 2
    DETACHED: Final = 4
    INTERNAL: Final = 8
    """Of an executable: it has no path, `base` is its own name (memfd_create(2))."""
    DESCRIPTOR: Final = 32
    """Of a script: `base2` is what the descriptor is that `string` begins with."""
    REFUSED: Final = 16
    """A seccomp filter refused the call."""


class Event(NamedTuple):
    """Something new. Folders and objects (`base`, `base2`, `loader`) are names, leaf first, each with its NUL."""

    key: SeenKey
    pid: int
    kind: int
    marks: int
    string: bytes
    string2: bytes
    base: bytes
    base2: bytes
    loader: bytes
    argv0: bytes


_KEYS: Final[Mapping[type, struct.Struct]] = {
    CountKey: struct.Struct("=IIIi"),
    ArgumentKey: struct.Struct("=IIQQQ"),
    CombinationKey: struct.Struct("=II"),
    RefusalKey: struct.Struct("=IIIiQQQ"),
    SeenKey: struct.Struct("=QQIHhII"),
    CapabilityKey: struct.Struct("=IiiHH"),
    SignalKey: struct.Struct("=IiHBB"),
    RingKey: struct.Struct("=IiHH"),
}
_TALLY: Final = "QQI4x"
"""`struct tally`."""
_EVENT: Final = struct.Struct("=QQIHhIIIHH8H")
_SEGMENTS: Final = 6


K = TypeVar("K", CountKey, ArgumentKey, CombinationKey, RefusalKey, SeenKey, CapabilityKey, SignalKey, RingKey)


def unpack_key(type_: type[K], data: bytes) -> K:
    """One key of a map; ValueError for bytes of another size."""
    try:
        return type_(*_KEYS[type_].unpack(data))
    except struct.error as error:
        raise ValueError(f"a key of {len(data)} bytes: {error}") from None


def unpack_entries(type_: type[K], data: bytes) -> dict[K, int]:
    """The entries of a map from keys of `type_` to 64-bit counts, given as keys and values one after the other."""
    key = _KEYS[type_]
    entry = struct.Struct(key.format + "Q")
    return {type_(*fields[:-1]): fields[-1] for fields in entry.iter_unpack(data)}


def unpack_tallies(type_: type[K], data: bytes, start_ns: int) -> tuple[dict[K, int], dict[K, First]]:
    """The entries of a map from keys of `type_` to `struct tally`: how often each was seen, and when first and by whom.

    `start_ns` is when the gate was opened, by the clock that they were stamped with; 0: not known. An entry that counts
    nothing tells only the latter: what a task counts itself is added when it ends.
    """
    entry = struct.Struct(_KEYS[type_].format + _TALLY)
    counts: dict[K, int] = {}
    firsts: dict[K, First] = {}
    for *fields, count, time_ns, process in entry.iter_unpack(data):
        key = type_(*fields)
        if count:
            counts[key] = count
        if start_ns and time_ns >= start_ns:
            firsts[key] = First((time_ns - start_ns) // 1000, process or None)
    return counts, firsts


def parse_state(section: bytes) -> State:
    """The section's map as it is read: a 32-bit key, then the structure."""
    fields = STATE.unpack_from(section, 4)
    losses, rest = fields[: len(LOSSES)], fields[len(LOSSES) :]
    return State(
        losses=dict(zip(LOSSES, losses, strict=True)),
        tasks=rest[5],
        tasks_peak=rest[6],
        descriptors_peak=rest[7],
        descriptors_asked=rest[8],
        unflushed=rest[-1],
        stack_losses=dict(zip(STACK_LOSSES, rest[10:], strict=False)),
    )


def parse_records(data: bytes) -> Iterator[bytes]:
    """The records of the drained ring buffer, each behind its 32-bit size."""
    offset = 0
    while offset < len(data):
        (size,) = struct.unpack_from("=I", data, offset)
        yield data[offset + 4 : offset + 4 + size]
        offset += 4 + size


def parse_event(record: bytes) -> Event:
    """One record as an event; ValueError when its segments do not fit in it."""
    fields = _EVENT.unpack_from(record)
    position = _EVENT.size
    segments = []
    for length in fields[10 : 10 + _SEGMENTS]:
        segments.append(record[position : position + length])
        position += length
    if position != len(record):
        raise ValueError(f"an event of {len(record)} bytes has segments up to {position}")
    return Event(SeenKey(*fields[:7]), fields[7], fields[8], fields[9], *segments)
