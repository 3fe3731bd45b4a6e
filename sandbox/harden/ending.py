"""How a recorded run ended, and what follows from it: whether its files are written, the status to end with."""

from __future__ import annotations

import signal
from typing import Final

from harden.errors import HardenError
from harden.folder import ProfileFiles
from harden.model.recording import Completeness, GapKind, Run

__all__ = ["reason_to_keep", "status_of"]

_LOSSES: Final = frozenset(
    {
        GapKind.LOST_EVENTS,
        GapKind.LIMIT_REACHED,
        GapKind.UNREADABLE_PATH,
        GapKind.INTERRUPTED,
        GapKind.STILL_RUNNING,
    }
)


def reason_to_keep(run: Run, files: ProfileFiles, *, force: bool) -> str:
    """Why existing files must not be replaced after this run; empty when they may be."""
    status = run.status
    if run.perturbation and not status.timed_out:
        # What it needs until it gives in is needed, however it ends.
        return ""
    if force or status.interrupted or not (files.profile.exists() or files.recording.exists()):
        return ""
    if status.timed_out:
        return "the program ran into --timeout"
    if status.signal is not None:
        return f"the program was ended by {signal.Signals(status.signal).name}"
    if status.exit_status in (126, 127):
        return f"the program ended with status {status.exit_status}"
    return ""


def status_of(run: Run, *, allow_incomplete: bool) -> int:
    """The program's own, but that of a program that was disturbed."""
    if run.status.timed_out:
        return 124
    if run.status.signal is not None and not run.perturbation:
        return 128 + run.status.signal
    own = 0 if run.perturbation else run.status.exit_status or 0
    lost = run.completeness is not Completeness.COMPLETE and any(gap.kind in _LOSSES for gap in run.gaps)
    return HardenError.exit_status if own == 0 and lost and not allow_incomplete else own
