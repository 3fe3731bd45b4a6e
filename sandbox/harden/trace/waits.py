"""Which system calls wait for requests: a thread that first blocks in one of them has left the phase `init`.

Not here: calls on one descriptor that is not a listening socket (read, recvmsg), and sleeping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["WAITS", "WaitRow"]

_NONE: Final = 0xFF


class WaitRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    syscall: str
    descriptors: int = _NONE
    """Position of the number of descriptors it waits for: with none it only sleeps."""
    needs_listening: bool = True
    """It can wait for anything, so it counts only once a socket listens."""


_ROWS: Final = (
    WaitRow(syscall="accept", needs_listening=False),
    WaitRow(syscall="accept4", needs_listening=False),
    WaitRow(syscall="epoll_wait"),
    WaitRow(syscall="epoll_pwait"),
    WaitRow(syscall="epoll_pwait2"),
    WaitRow(syscall="poll", descriptors=1),
    WaitRow(syscall="ppoll", descriptors=1),
    WaitRow(syscall="select", descriptors=0),
    WaitRow(syscall="pselect6", descriptors=0),
)

WAITS: Final[Mapping[str, WaitRow]] = {row.syscall: row for row in _ROWS}
"""Every call that waits for requests, by name."""
