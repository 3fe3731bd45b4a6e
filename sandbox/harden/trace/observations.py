"""What the recorder brings back: the content of its maps and the events, not yet given names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from harden.model.arch import Arch
from harden.model.recording import Unseen
from harden.model.seen import NOT_KNOWN, First
from harden.model.stack import NO_STACK
from harden.trace.layout import (
    COMBINATIONS,
    ArgumentKey,
    CapabilityKey,
    CombinationKey,
    CountKey,
    Event,
    RefusalKey,
    RingKey,
    SeenKey,
    SignalKey,
)
from harden.trace.stack_records import Key, Owner, StackRecords

__all__ = ["Beginning", "Observations"]


class Beginning(NamedTuple):
    """The first time of something."""

    stack: int = NO_STACK
    """Number of the stack that it was done from; they are numbered in the order of their first time."""
    first: First = NOT_KNOWN


class Observations(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one recorder saw. `build_run` turns it into a Run."""

    recorder: str
    """The backend and the hooks it used."""
    arch: Arch
    """The ABI whose numbers are native."""
    unseen: tuple[Unseen, ...] = ()
    events: tuple[Event, ...] = ()
    """In the order they came: one per distinct executable, path operation and socket operation."""
    seen: Mapping[SeenKey, int] = {}
    """How often each event's key was seen."""
    counts: Mapping[CountKey, int] = {}
    arguments: Mapping[ArgumentKey, int] = {}
    combinations: Mapping[CombinationKey, int] = {}
    combination_limit: int = COMBINATIONS
    """More distinct combinations than this, and a call's arguments are unknown."""
    capabilities: Mapping[CapabilityKey, int] = {}
    refusals: Mapping[RefusalKey, int] = {}
    """What seccomp filters refused; only where the recorder was asked for it."""
    probing_stacks: frozenset[int] = frozenset()
    """Stacks of capability checks that only look."""
    signals: Mapping[SignalKey, int] = {}
    rings: Mapping[RingKey, int] = {}
    tasks_peak: int = 0
    """Most processes and threads that lived at once."""
    descriptors_peak: int = 0
    """The highest descriptor that a process had, plus 1; 0 where that is not seen."""
    descriptors_asked: int = 0
    """The highest soft RLIMIT_NOFILE, not just the hard one, that a process set itself; 0: none did."""
    stacks: StackRecords = StackRecords()
    """The user stacks of what is new; empty for a recorder that takes none."""
    stack_numbers: Mapping[Owner, int] = {}
    """The number that the stack of each of its owners has in a recording (`decode_stacks`)."""
    firsts: Mapping[type, Mapping[Any, First]] = {}
    """When the thing of each key was first seen, and by which process; by the type of the key."""
    losses: Mapping[str, int] = {}
    """Why something is missing, to how often; see `decode_gaps`."""

    def beginning(self, key: Key) -> Beginning:
        """The first time of what has this key."""
        return Beginning(
            self.stack_numbers.get((type(key), key), NO_STACK), self.firsts.get(type(key), {}).get(key, NOT_KNOWN)
        )
