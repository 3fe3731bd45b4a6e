"""What is kept of some calls besides what `calls.py` reads of them: one row per call.

The kernel side gets the numbers of each row (`config.py`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["ALSO", "Also", "AlsoRow"]

_NONE: Final = 0xFF


class Also(enum.IntEnum):
    """What is kept (enum call_also in layout.h)."""

    TYPE = 1
    """The name of a file system's type, and the flags that it is mounted with."""
    ARGUMENTS = 2
    """Arguments that lie in memory (`POINTED_ROWS`): at the call's end where they could not be read at its start."""
    ANSWER = 3
    """What a name server sent, in a buffer."""
    ANSWER_MESSAGE = 4
    """The same in a message of recvmsg(2)."""


class AlsoRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call; argument positions are those of syscall(2): 0 to 5."""

    syscall: str
    also: Also
    at: int = _NONE
    """Position of the name, the buffer or the message."""
    flags: int = _NONE
    """Position of the flags for TYPE, of the sender's address for ANSWER."""

    @property
    def is_rare(self) -> bool:
        """The end of every such call is looked at; else only once a name server was asked."""
        return self.also in (Also.TYPE, Also.ARGUMENTS)


ALSO: Final[Mapping[str, AlsoRow]] = {
    row.syscall: row
    for row in (
        AlsoRow(syscall="mount", also=Also.TYPE, at=2, flags=3),
        AlsoRow(syscall="fsopen", also=Also.TYPE, at=0, flags=1),
        AlsoRow(syscall="clone3", also=Also.ARGUMENTS),
        AlsoRow(syscall="read", also=Also.ANSWER, at=1),
        AlsoRow(syscall="recvfrom", also=Also.ANSWER, at=1, flags=4),
        AlsoRow(syscall="recvmsg", also=Also.ANSWER_MESSAGE, at=1),
    )
}
"""Every such call, by name."""
