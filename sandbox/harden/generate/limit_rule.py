"""Limits from peaks: how much head room a program gets beyond what it was seen to use.

Limits are coarse on purpose: the next power of two, so that a run that used a little more gives the same profile, and
a reviewer sees a change only where something changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from harden.generate import note
from harden.model.origin import Origin
from harden.model.peak import Peak, peak_of
from harden.model.recording import Run
from harden.model.resource_limit import LIMIT_BOUNDS, LimitName, LimitValue, PeakName, render_limit

__all__ = ["LIMIT_RULES", "granted_limit", "limit_comments", "limit_notes", "limit_rules", "peak_text", "raised_limit"]


class LimitRule(msgspec.Struct, frozen=True, kw_only=True):
    """Head room of one limit: at least `factor` times the peak and at least `least`, then the next power of two."""

    factor: int
    least: int
    why: str


_TWICE: Final = "the next run may have more work"
LIMIT_RULES: Final[Mapping[PeakName, LimitRule]] = {
    PeakName.MEMORY_CGROUP: LimitRule(factor=2, least=64 << 20, why=_TWICE),
    PeakName.MEMORY_TREE: LimitRule(
        factor=4, least=64 << 20, why="the cgroup that is limited also counts tmpfs, page cache and kernel memory"
    ),
    PeakName.PIDS: LimitRule(
        factor=2,
        least=64,
        why=_TWICE + ", or one thread for each of more processors; a fork bomb is thousands",
    ),
    PeakName.OPEN_FILES: LimitRule(
        factor=2, least=1024, why=_TWICE + ", such as connections; what every program expects to have (INR_OPEN_CUR)"
    ),
}
"""By what counted the peak."""


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


def granted_limit(name: LimitName, peak: Peak) -> int:
    """The limit for one run. What a program asks for by a number of its own it gets, and no head room beyond it."""
    rule = LIMIT_RULES[peak.source]
    return min(max(_power(max(rule.factor * peak.value, rule.least)), peak.asked), LIMIT_BOUNDS[name][1])


def raised_limit(name: LimitName, number: int) -> int:
    """What to try when `number` was too little: the power of two above twice as much."""
    return min(_power(2 * number), LIMIT_BOUNDS[name][1])


def limit_rules(runs: Sequence[Run]) -> dict[Origin, dict[LimitName, LimitValue]]:
    """The most that one of the runs needs; no limit of what not all of them tell."""
    found = {}
    for name in LimitName:
        peaks = _peaks(runs, name)
        if peaks:
            found[name] = render_limit(name, max(granted_limit(name, peak) for peak in peaks))
    return {Origin.OBSERVED: found} if found else {}


def limit_comments(runs: Sequence[Run]) -> Iterator[tuple[LimitName, str]]:
    """For each limit the peak that it comes from."""
    for name in LimitName:
        peaks = _peaks(runs, name)
        if peaks:
            top = max(peaks, key=lambda peak: (peak.value, peak.source, peak.asked))
            yield name, peak_text(name, top)


def peak_text(name: LimitName, peak: Peak) -> str:
    """`peak 21.4M (cgroup)`, `peak 3`, `peak 14, set to 10032 by the program itself`."""
    if name is LimitName.MEMORY:
        counted = "cgroup" if peak.source is PeakName.MEMORY_CGROUP else "process tree"
        return f"peak {peak.value / (1 << 20):.1f}M ({counted})"
    own = f", set to {peak.asked} by the program itself" if peak.asked else ""
    return f"peak {peak.value}{own}"


def limit_notes(runs: Sequence[Run]) -> list[str]:
    """A note for each limit that is missing because only some of the runs tell their peak."""
    counts = {name: sum(peak_of(run, name) is None for run in runs) for name in LimitName}
    return [note.unknown_peak(name, count, len(runs)) for name, count in counts.items() if 0 < count < len(runs)]


def _peaks(runs: Sequence[Run], name: LimitName) -> list[Peak]:
    """Of all runs, or none."""
    peaks = [peak_of(run, name) for run in runs]
    return [peak for peak in peaks if peak is not None] if all(peaks) else []
