"""What a walk knows of a word that a filter loads: an interval, known bits, and values that it is not."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["WORD", "Knowledge"]

WORD: Final = 0xFFFFFFFF
_MOST_TRIES: Final = 64


class Knowledge(NamedTuple):
    """Constraints on one unsigned 32-bit word; no constraint, to begin with."""

    low: int = 0
    high: int = WORD
    bits: int = 0
    """The bits whose value is known."""
    value: int = 0
    """Their values; no bit outside `bits`."""
    excluded: frozenset[int] = frozenset()
    avoided: tuple[tuple[int, int], ...] = ()
    """(mask, value) pairs that the word does not have."""
    touched: tuple[int, ...] = ()
    """Masks of which at least one bit is set."""

    def masked_equal(self, mask: int, value: int) -> Knowledge | None:
        """With `word & mask == value`; None when that contradicts what is known."""
        if value & ~mask or (self.value ^ value) & self.bits & mask:
            return None
        return self._replace(bits=self.bits | mask, value=self.value | value)._possible()

    def masked_other(self, mask: int, value: int) -> Knowledge | None:
        """With `word & mask != value`."""
        if value & ~mask:
            return self
        if mask == WORD:
            return self._replace(excluded=self.excluded | {value})._possible()
        return self._replace(avoided=(*self.avoided, (mask, value)))._possible()

    def between(self, low: int, high: int) -> Knowledge | None:
        """With `low <= word <= high`."""
        return self._replace(low=max(self.low, low), high=min(self.high, high))._possible()

    def touching(self, mask: int) -> Knowledge | None:
        """With `word & mask != 0`."""
        return self._replace(touched=(*self.touched, mask))._possible()

    def allows(self, word: int) -> bool:
        """Whether `word` meets every constraint."""
        return (
            self.low <= word <= self.high
            and word & self.bits == self.value
            and word not in self.excluded
            and all(word & mask != value for mask, value in self.avoided)
            and all(word & mask for mask in self.touched)
        )

    def witness(self) -> int | None:
        """A word that meets every constraint; None when the search found none, which proves nothing."""
        found, _ = self._search()
        if found is not None:
            return found
        free = ~self.bits & WORD
        for mask in (*self.touched, *(mask for mask, _ in self.avoided), free):
            for bit in _bits(mask & free):
                for floor in (self.low | bit, bit, self.high & ~(bit - 1)):
                    word = self._least(floor)
                    if word is not None and self.allows(word):
                        return word
        every = self.value | free
        return every if self.allows(every) else None

    def _possible(self) -> Knowledge | None:
        found, exhausted = self._search()
        if found is None and exhausted:
            return None
        if any(not mask & (self.value | ~self.bits) for mask in self.touched):
            return None
        if any(not mask & ~self.bits and self.value & mask == value for mask, value in self.avoided):
            return None
        return None if self._avoids_all() else self

    def _avoids_all(self) -> bool:
        """Whether every value that some mask can have is among those avoided under it."""
        values: dict[int, set[int]] = {}
        for mask, value in self.avoided:
            if not (value ^ self.value) & self.bits & mask:
                values.setdefault(mask, set()).add(value)
        return any(len(found) == 1 << (mask & ~self.bits).bit_count() for mask, found in values.items())

    def _search(self) -> tuple[int | None, bool]:
        """The least word that meets every constraint, and whether there is none beyond those that were tried."""
        word = self._least(self.low)
        for _ in range(_MOST_TRIES + len(self.excluded)):
            if word is None or word > self.high:
                return None, True
            if self.allows(word):
                return word, True
            word = self._least(word + 1)
        return None, False

    def _least(self, floor: int) -> int | None:
        """The least word from `floor` on that has the known bits; None beyond 32 bits."""
        if floor > WORD:
            return None
        if floor & self.bits == self.value:
            return floor
        # The next greater word agrees with `floor` down to some bit, is greater there, and is least below it.
        for position in range(32):
            bit = 1 << position
            below = bit - 1
            above = WORD & ~(bit | below)
            if (floor & above) & self.bits != self.value & above or floor & bit:
                continue
            if self.bits & bit and not self.value & bit:
                continue
            return (floor & above) | bit | (self.value & below)
        return None


def _bits(mask: int) -> list[int]:
    return [1 << position for position in range(32) if mask >> position & 1]
