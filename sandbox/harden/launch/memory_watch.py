"""The most memory that a sandbox's processes have, where its cgroup cannot tell: looked at while they run."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

import msgspec

from harden.kernel.process_memory import resident_bytes
from harden.model.outcome import Outcome

__all__ = ["MemoryWatch"]

_PERIOD_S: Final = 0.05
_SHARE: Final = 20
"""It sleeps this many times as long as it looked: thousands of processes take their time."""


class MemoryWatch:
    """A context manager: looks every 50 ms from entering to leaving. What comes and goes in between is missed.

    `cgroup`: a descriptor of the payload's cgroup v2; None: nothing can be looked at.
    """

    def __init__(self, cgroup: int | None) -> None:
        self.peak_bytes: int | None = None
        """None: nothing was seen."""
        self._cgroup = cgroup
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="harden-memory", daemon=True)

    def __enter__(self) -> Self:
        if self._cgroup is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        if self._cgroup is not None:
            self._thread.join()

    def added_to(self, outcome: Outcome) -> Outcome:
        """`outcome` with what was seen."""
        usage = msgspec.structs.replace(outcome.usage, memory_tree_bytes=self.peak_bytes)
        return msgspec.structs.replace(outcome, usage=usage)

    def _watch(self) -> None:
        assert self._cgroup is not None
        while True:
            began = time.monotonic()
            found = resident_bytes(self._cgroup)
            if found:
                self.peak_bytes = max(found, self.peak_bytes or 0)
            if self._over.wait(max(_PERIOD_S, _SHARE * (time.monotonic() - began))):
                return
