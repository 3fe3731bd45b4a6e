"""Names and addresses in what name servers answered: RFC 1035, RFC 3596.

A name server, or whoever says that he is one, may send anything: what is no plain answer is left out.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from harden.model.lookup import LookupSeen
from harden.trace.decode import Program, program_text
from harden.trace.layout import EventKind
from harden.trace.observations import Observations
from harden.trace.tally import Tally

__all__ = ["decode_lookups", "parse_answer"]

_HEADER: Final = struct.Struct(">HHHHHH")
_RECORD: Final = struct.Struct(">HHIH")
_IS_ANSWER: Final = 0x8000
_INTERNET: Final = 1
_ADDRESS_SIZES: Final = {1: 4, 28: 16}
"""Types A and AAAA."""
_LABEL: Final = re.compile(rb"[A-Za-z0-9_-]{1,63}")
_LONGEST_NAME: Final = 253
_MOST_ADDRESSES: Final = 64
_POINTER: Final = 0xC0


def parse_answer(message: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The name that was asked for, in small letters, and the addresses in the answer; None for what is no answer to one
    question of a plain name. A message that is cut off gives what is whole.
    """
    try:
        _, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
        if not flags & _IS_ANSWER or questions != 1:
            return None
        labels, at = [], _HEADER.size
        while message[at]:
            label = message[at + 1 : at + 1 + message[at]]
            if message[at] > 63 or not _LABEL.fullmatch(label):
                return None
            labels.append(label.decode("ascii").lower())
            at += 1 + len(label)
    except (struct.error, IndexError):
        return None
    name = ".".join(labels)
    if not name or len(name) > _LONGEST_NAME:
        return None
    return name, _addresses(message, at + 5, min(answers, _MOST_ADDRESSES))


def _addresses(message: bytes, at: int, count: int) -> tuple[str, ...]:
    """Those of the records from `at` on; aliases on the way are passed over."""
    found = set()
    for _ in range(count):
        at = _end_of_name(message, at)
        if at + _RECORD.size > len(message):
            break
        kind, class_, _, size = _RECORD.unpack_from(message, at)
        at += _RECORD.size
        data = message[at : at + size]
        if class_ == _INTERNET and len(data) == size == _ADDRESS_SIZES.get(kind):
            found.add(str(ipaddress.ip_address(data)))
        at += size
    return tuple(sorted(found))


def _end_of_name(message: bytes, at: int) -> int:
    """Behind a name, which ends with an empty label or a pointer; behind the message where it is cut off."""
    while at < len(message) and 0 < message[at] < _POINTER:
        at += 1 + message[at]
    if at >= len(message):
        return len(message)
    return at + (2 if message[at] else 1)


def decode_lookups(observations: Observations, programs: Mapping[int, Program]) -> tuple[LookupSeen, ...]:
    """Names per executable, sorted."""
    found: Tally[tuple[str, str]] = Tally()
    addresses: dict[tuple[str, str], set[str]] = defaultdict(set)
    for event in observations.events:
        answer = parse_answer(event.string) if event.kind == EventKind.ANSWER else None
        if answer is not None:
            item = program_text(programs, event.key.executable), answer[0]
            count = observations.seen.get(event.key, 1)
            found.add(item, event.key.executable, count, observations.beginning(event.key))
            addresses[item].update(answer[1])
    return tuple(
        sorted(
            LookupSeen(
                executable=executable,
                host=host,
                addresses=tuple(sorted(addresses[item])),
                **found.evidence(item),
            )
            for item in found
            for executable, host in (item,)
        )
    )
