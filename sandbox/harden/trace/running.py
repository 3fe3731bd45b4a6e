"""What every recorder does while a program runs, whichever way it records."""

from __future__ import annotations

from typing import Protocol

from harden.trace.observations import Observations
from harden.trace.progress import Progress

__all__ = ["RunningRecorder"]


class RunningRecorder(Protocol):
    """A recorder at work."""

    def begin(self) -> None:
        """The gate opens now, which is what the times of a recording count from."""

    def begin_serving(self) -> None:
        """The program is ready: the phase `serving` begins, for a recorder that tells phases apart."""

    def progress(self) -> Progress:
        """What was recorded so far."""

    def stop(self) -> Observations:
        """Everything that was recorded, once the program is over."""
