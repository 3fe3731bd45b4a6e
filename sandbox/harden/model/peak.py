"""Peaks of a run: what it used most of a resource, by what counted it."""

from __future__ import annotations

import msgspec

from harden.model.recording import Run
from harden.model.resource_limit import LimitName, PeakName

__all__ = ["Peak", "peak_of"]


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The peak that one limit of a run is learned from."""

    value: int
    source: PeakName
    asked: int = 0
    """OPEN_FILES_ASKED; 0: nothing was asked for."""


_SOURCES = {
    # The cgroup knows better than the processes.
    LimitName.MEMORY: (PeakName.MEMORY_CGROUP, PeakName.MEMORY_TREE),
    LimitName.PIDS: (PeakName.PIDS,),
    LimitName.NOFILE: (PeakName.OPEN_FILES,),
}


def peak_of(run: Run, name: LimitName) -> Peak | None:
    """The peak behind the limit `name`; None where the run does not tell it."""
    source = next((each for each in _SOURCES[name] if run.peaks.get(each, 0) > 0), None)
    if source is None:
        return None
    asked = run.peaks.get(PeakName.OPEN_FILES_ASKED, 0) if source is PeakName.OPEN_FILES else 0
    return Peak(value=int(run.peaks[source]), source=source, asked=int(asked))
