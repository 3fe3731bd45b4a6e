"""How much of what a program may ever need was seen, estimated from how things repeat over independent runs.

Calls inside one run depend on each other, so only whether a run saw a thing counts, not how often. With m runs, S
distinct things, Q1 of them seen by exactly one run, Q2 by exactly two, and U the sum over things of the runs that saw
them:

    total       Chao2, bias-corrected: S + ((m - 1) / m) Q1 (Q1 - 1) / (2 (Q2 + 1))     (Chao 1987, 2005)
    coverage    of the sample: 1 - (Q1 / U) ((m - 1) Q1 / ((m - 1) Q1 + 2 Q2))          (Chao and Jost 2012)
    next run    about Q1 / m new things (Good and Turing)

All of them are bounds from below: runs that are driven alike see alike, and say nothing of what none of them tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

__all__ = ["Coverage", "estimate_coverage"]


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs say about one kind of thing."""

    kind: str
    """`system calls`, `files` and so on."""
    runs: int
    seen: int
    """Distinct things seen by any run."""
    total: float
    """At least so many things there are (Chao2)."""
    coverage: float
    """The share of what further runs of the same kind do that has been seen, 0 to 1; 1 where nothing was seen."""
    expected_new: float
    """New things that one more run of the same kind is expected to show."""
    last_new: int
    """Number, from 1 in the order given, of the last run that saw something new; 0 where nothing was seen."""


def estimate_coverage(kind: str, runs: Sequence[AbstractSet[Hashable]]) -> Coverage | None:
    """The estimates for the things that each run saw; None for fewer than two runs, which say nothing."""
    count = len(runs)
    if count < 2:
        return None
    incidence = Counter(thing for run in runs for thing in run)
    once = sum(times == 1 for times in incidence.values())
    twice = sum(times == 2 for times in incidence.values())
    return Coverage(
        kind=kind,
        runs=count,
        seen=len(incidence),
        total=len(incidence) + (count - 1) / count * once * (once - 1) / (2 * (twice + 1)),
        coverage=_sample_coverage(count, once, twice, incidence.total()),
        expected_new=once / count,
        last_new=_last_new(runs),
    )


def _sample_coverage(runs: int, once: int, twice: int, incidences: int) -> float:
    if not once:
        return 1.0
    return 1 - once / incidences * ((runs - 1) * once / ((runs - 1) * once + 2 * twice))


def _last_new(runs: Sequence[AbstractSet[Hashable]]) -> int:
    known: set[Hashable] = set()
    last = 0
    for number, run in enumerate(runs, 1):
        if not run <= known:
            last = number
            known |= run
    return last
