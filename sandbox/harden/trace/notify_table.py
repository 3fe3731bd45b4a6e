"""The table that harden-exec's recorder of user notifications fills, as `_native/exec/notify_table.h` has it.

Keys, events and losses are those of the BPF recorder (`layout.py`), so that the same code decodes both.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from typing import Final

from harden.model.arch import Arch
from harden.model.recording import Unseen
from harden.model.seen import First
from harden.trace.config import encode_config
from harden.trace.layout import (
    COMBINATIONS,
    KILLED_NR,
    LOSSES,
    SYSCALLS,
    ArgumentKey,
    CombinationKey,
    CountKey,
    Event,
    EventKind,
    Mark,
    SeenKey,
    parse_event,
    parse_records,
    unpack_tallies,
)
from harden.trace.observations import Observations
from harden.trace.place import names_of_path
from harden.trace.progress import Progress, describe_event

__all__ = ["START_AT", "TABLE_SIZE", "encode_start", "encode_table", "read_progress", "read_table"]

_MAGIC: Final = 0x31464954544F4E48
_PAGE: Final = 4096
_EXECUTABLES: Final = 1024
_ABIS: Final = 3
_HEADER: Final = struct.Struct("=QIIIIQQQQQQ8QQ")
START_AT: Final = _HEADER.size - 8
"""Where it says when the gate was opened."""
_TALLY: Final = 24
"""Bytes of `struct tally`, which begins with the count."""
_FINISHED: Final = 2
_FEATURES: Final = ((1, "wait-killable"), (2, "sync wake-up"), (4, "one CPU"))
_SECTIONS: Final = {
    "header": _HEADER.size,
    "config": 7 * _PAGE,
    "counts": _EXECUTABLES * _ABIS * SYSCALLS * _TALLY,
    "distinct": _EXECUTABLES * SYSCALLS * 4,
    "odd": 4096 * (16 + _TALLY),
    "arguments": 65536 * (32 + _TALLY),
    "seen": 131072 * (32 + _TALLY),
    "events": 64 << 20,
}
"""Section to bytes, in their order; each starts on a page."""
_RENAMED: Final = {"ring_full": "event_table"}
"""A loss that both recorders have, for another reason."""


def _offsets() -> Iterator[tuple[str, int]]:
    offset = 0
    for name, size in (*_SECTIONS.items(), ("end", 0)):
        yield name, offset
        offset += -(-size // _PAGE) * _PAGE


_AT: Final = dict(_offsets())
TABLE_SIZE: Final = _AT["end"]
"""Bytes of the memfd; only what is used takes memory."""


def encode_table(*, arch: Arch, seed: int, combinations: int = COMBINATIONS) -> bytes:
    """The start of an empty table: its magic, and how calls are read. `seed` hides path hashes from the program."""
    config = encode_config(arch=arch, cgroup_id=0, seed=seed, combinations=combinations)
    return struct.pack("=Q", _MAGIC).ljust(_AT["config"], b"\0") + config


def encode_start(now_ns: int) -> bytes:
    """What stands at START_AT; `now_ns` is by CLOCK_MONOTONIC, as harden-exec has it."""
    return struct.pack("=Q", now_ns)


def read_table(fd: int, *, arch: Arch, combinations: int = COMBINATIONS) -> Observations:
    """What the recorder left in the memfd `fd`. Everything that is missing is among the losses."""
    fields = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
    state, features, executables, killed, event_bytes, _count, _last, listeners, sockets, unfollowed = fields[1:11]
    losses = {_RENAMED.get(name, name): count for name, count in zip(LOSSES, fields[11:-1], strict=True)}
    losses |= {"listeners": listeners, "sockets": sockets, "unfollowed": unfollowed}
    losses |= {"recorder": int(state != _FINISHED)}
    start_ns = fields[-1]
    counts, calls = _counts(fd, executables, start_ns)
    odd, odd_calls = unpack_tallies(CountKey, _used(fd, "odd"), start_ns)
    arguments, firsts = unpack_tallies(ArgumentKey, _used(fd, "arguments"), start_ns)
    seen, things = unpack_tallies(SeenKey, _used(fd, "seen"), start_ns)
    survivors = [SeenKey(number, 0, 0, KILLED_NR, 0, 0, 0) for number in range(killed)]
    return Observations(
        recorder=f"notify ({', '.join(['user notification', *(word for bit, word in _FEATURES if features & bit)])})",
        arch=arch,
        unseen=tuple(Unseen),
        events=tuple(_with_names(parse_event(record)) for record in parse_records(_section(fd, "events", event_bytes))),
        seen=seen | dict.fromkeys(survivors, 1),
        counts=counts | odd,
        arguments=arguments,
        firsts={CountKey: calls | odd_calls, ArgumentKey: firsts, SeenKey: things},
        combinations=_combinations(fd, executables),
        combination_limit=combinations,
        losses={name: count for name, count in losses.items() if count},
    )


def read_progress(fd: int, *, arch: Arch, before: Progress | None) -> Progress:
    """How far it is; `before`: the look before this one."""
    fields = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
    executables, count, last = fields[3], fields[6], fields[7]
    (size,) = struct.unpack("=I", os.pread(fd, 4, _AT["events"] + last))
    event = _with_names(parse_event(os.pread(fd, size, _AT["events"] + last + 4))) if count else None
    is_new = before is None or before.new != count
    return Progress(
        calls=sum(_counters(_tallies(fd, executables))),
        tasks=None,
        new=count,
        last=describe_event(event, arch) if event else "",
        last_s=time.monotonic() if before is None or is_new else before.last_s,
        lost=sum(fields[10:-1]),
    )


def _section(fd: int, name: str, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (part := os.pread(fd, size - len(found), _AT[name] + len(found))):
        found += part
    return bytes(found)


def _used(fd: int, name: str) -> bytes:
    """The entries of a hash table that count something: a tally is what they end with."""
    size = {"seen": 32, "odd": 16, "arguments": 32}[name]
    entries = struct.iter_unpack(f"{size}s8s{_TALLY - 8}s", _section(fd, name, _SECTIONS[name]))
    return b"".join(key + count + first for key, count, first in entries if count != bytes(8))


def _counts(fd: int, executables: int, start_ns: int) -> tuple[dict[CountKey, int], dict[CountKey, First]]:
    """How often, and when first, each executable made each call."""
    numbers = _ABIS * SYSCALLS
    tallies = _tallies(fd, executables)
    used = bytearray()
    for index, count in enumerate(_counters(tallies)):
        if count:
            key = index // numbers, index % numbers // SYSCALLS, index % SYSCALLS, 0
            used += struct.pack("=IIIi", *key) + tallies[index * _TALLY : (index + 1) * _TALLY]
    return unpack_tallies(CountKey, bytes(used), start_ns)


def _tallies(fd: int, executables: int) -> bytes:
    return _section(fd, "counts", (executables + 1) * _ABIS * SYSCALLS * _TALLY)


def _counters(tallies: bytes) -> memoryview:
    """What each tally begins with."""
    return memoryview(tallies).cast("Q")[:: _TALLY // 8]


def _combinations(fd: int, executables: int) -> dict[CombinationKey, int]:
    distinct = memoryview(_section(fd, "distinct", (executables + 1) * SYSCALLS * 4)).cast("I")
    return {CombinationKey(*divmod(index, SYSCALLS)): count for index, count in enumerate(distinct) if count}


def _with_names(event: Event) -> Event:
    """Paths are whole in the table; everything else has them as names, leaf first."""
    anonymous = event.kind == EventKind.EXECUTABLE and event.marks & Mark.INTERNAL and not event.string
    return event._replace(
        base=event.base[1:] + b"\0" if anonymous else names_of_path(event.base),
        base2=names_of_path(event.base2),
        loader=names_of_path(event.loader),
    )
