"""Counting things that were seen, with the phases of the threads that did them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Generic, TypedDict, TypeVar

from harden.model.phase import Phase
from harden.model.stack import NO_STACK
from harden.trace.layout import SERVING

__all__ = ["Evidence", "Tally"]

T = TypeVar("T", bound=Hashable)


class Evidence(TypedDict):
    """What every recorded thing says of how it was seen."""

    count: int
    phases: tuple[Phase, ...]
    stack: int


class Tally(Generic[T]):
    """How often each thing was seen, and in which phases."""

    def __init__(self) -> None:
        self._counts: Counter[T] = Counter()
        self._serving: set[T] = set()
        self._init: set[T] = set()
        self._stacks: dict[T, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[T]:
        return iter(self._counts)

    def __getitem__(self, thing: T) -> int:
        return self._counts[thing]

    def add(self, thing: T, executable: int, count: int, stack: int = NO_STACK) -> None:
        """Count `thing`, done by an executable whose number, as the kernel side has it, tells the phase.

        `stack` is the number of a stack that it was done from.
        """
        self._counts[thing] += count
        if stack != NO_STACK:
            self._stacks[thing] = min(stack, self._stacks.get(thing, stack))
        (self._serving if executable & SERVING else self._init).add(thing)

    def stack(self, thing: T) -> int:
        """The stack that `thing` was first done from: they are numbered in the order of their first time."""
        return self._stacks.get(thing, NO_STACK)

    def phases(self, thing: T) -> tuple[Phase, ...]:
        """The phases of `thing` in their order."""
        seen = ((Phase.INIT, self._init), (Phase.SERVING, self._serving))
        return tuple(phase for phase, things in seen if thing in things)

    def evidence(self, thing: T) -> Evidence:
        """All of that."""
        return {"count": self[thing], "phases": self.phases(thing), "stack": self.stack(thing)}
