"""What a recorder that sees no results says instead: what it found when it looked, before the call."""

from __future__ import annotations

import enum
from typing import Final

from harden.model.file_operation import ABSENT, OK, PRESENT, UNKNOWN, FileOperation
from harden.trace.errno_name import errno_name

__all__ = ["Look", "result_of"]


class Look(enum.IntEnum):
    """Values of SeenKey.error below 0 (enum look in notify_table.h)."""

    UNSEEN = -1
    """It could not look."""
    THERE = -2
    FREE = -3
    """Nothing has that name, but its folder is there."""
    ABSENT = -4
    """Nor is its folder, or it cannot be reached."""
    TAKEN = -5
    """There, and the call makes only what is not (O_EXCL), or does not follow a link (O_NOFOLLOW, ELOOP)."""


_MAKES: Final = frozenset(
    {
        FileOperation.CREATE,
        FileOperation.LINK,
        FileOperation.MKDIR,
        FileOperation.MKFIFO,
        FileOperation.MKNOD,
        FileOperation.MKSOCK,
        FileOperation.SYMLINK,
    }
)


def result_of(error: int, operation: FileOperation | None = None, *, creates: bool = False) -> str:
    """How an operation ended, or may have ended, in the words of a recording.

    `operation` is what the looked-at name was for; `creates`: the call makes that name where it is free.
    """
    if error >= 0:
        return errno_name(error) if error else OK
    look = Look(error)
    makes = operation in _MAKES
    if look is Look.TAKEN or (look is Look.THERE and makes):
        return PRESENT
    if look is Look.ABSENT or (look is Look.FREE and not (makes or creates)):
        return ABSENT
    return UNKNOWN
