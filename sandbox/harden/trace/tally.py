"""Counting things that were seen, with the phases of the threads that did them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypedDict, TypeVar

from harden.model.phase import Phase
from harden.model.seen import earliest
from harden.model.stack import NO_STACK
from harden.trace.layout import SERVING
from harden.trace.observations import Beginning

__all__ = ["Evidence", "Tally"]

T = TypeVar("T", bound=Hashable)
_UNTOLD: Final = Beginning()


class Evidence(TypedDict):
    """What every recorded thing says of how it was seen."""

    count: int
    phases: tuple[Phase, ...]
    stack: int
    first_us: int | None
    process: int | None


class Tally(Generic[T]):
    """How often each thing was seen, and in which phases."""

    def __init__(self) -> None:
        self._counts: Counter[T] = Counter()
        self._serving: set[T] = set()
        self._init: set[T] = set()
        self._beginnings: dict[T, Beginning] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[T]:
        return iter(self._counts)

    def __getitem__(self, thing: T) -> int:
        return self._counts[thing]

    def add(self, thing: T, executable: int, count: int, beginning: Beginning = _UNTOLD) -> None:
        """Count `thing`, done by an executable whose number, as the kernel side has it, tells the phase.

        `beginning` is the first time of what is counted here.
        """
        self._counts[thing] += count
        self._beginnings[thing] = _earlier(beginning, self._beginnings.get(thing, _UNTOLD))
        (self._serving if executable & SERVING else self._init).add(thing)

    def beginning(self, thing: T) -> Beginning:
        """The first time of `thing`."""
        return self._beginnings.get(thing, _UNTOLD)

    def phases(self, thing: T) -> tuple[Phase, ...]:
        """The phases of `thing` in their order."""
        seen = ((Phase.INIT, self._init), (Phase.SERVING, self._serving))
        return tuple(phase for phase, things in seen if thing in things)

    def evidence(self, thing: T, *, at_least: int = 0) -> Evidence:
        """All of that; `at_least`: how often it was seen otherwise."""
        stack, first = self.beginning(thing)
        return {
            "count": max(self[thing], at_least),
            "phases": self.phases(thing),
            "stack": stack,
            "first_us": first.us,
            "process": first.process,
        }


def _earlier(one: Beginning, other: Beginning) -> Beginning:
    """Each of both as far as it is known: of something that began without its stack, the first one that was taken."""
    stacks = [stack for stack in (one.stack, other.stack) if stack != NO_STACK]
    return Beginning(min(stacks, default=NO_STACK), earliest((one.first, other.first)))
