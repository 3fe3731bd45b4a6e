"""Phases of a program's threads: what only `init` needed can be taken away once it serves."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["INIT_ONLY", "Phase"]


class Phase(enum.StrEnum):
    """Where a thread was when it did something; a child inherits its parent's phase."""

    INIT = "init"
    """Until the thread first blocks in accept, epoll_wait, poll or select after a socket listens, or until the
    readiness that the user named. A program that never listens never leaves it."""
    SERVING = "serving"


INIT_ONLY: Final = (Phase.INIT,)
