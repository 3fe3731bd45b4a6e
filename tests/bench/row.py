"""A row of the bench: what is measured, what it is compared with, and the bar that it must not miss."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.measure import Measure

__all__ = ["FEW_TURNS", "TURNS", "Bar", "Row"]

TURNS, FEW_TURNS = 9, 3
"""How many pairs are taken; few of them of what is only there to compare with."""


@dataclass(frozen=True)
class Bar:
    """The most that a ratio may be, or with `least` the least."""

    ratio: float
    least: bool = False

    def verdict(self, ratio: float) -> str:
        """The bar, and whether `ratio` meets it."""
        return f"{self}: {'met' if (ratio >= self.ratio if self.least else ratio <= self.ratio) else 'MISSED'}"

    def __str__(self) -> str:
        return f"bar {'≥' if self.least else '≤'} {self.ratio:g}"


@dataclass(frozen=True)
class Row:
    """`ours` and `theirs` each take one figure; the ratio is of the first to the second."""

    what: str
    beside: str
    ours: Measure
    theirs: Measure
    bar: Bar | None = None
    turns: int = TURNS
