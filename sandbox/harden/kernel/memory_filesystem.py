"""How much a memory file system holds, changed while it is mounted: tmpfs(5), fspick(2), fsconfig(2)."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from harden.errors import KernelError

__all__ = ["Room", "fill", "room", "set_size"]

# The same numbers on every architecture: Documentation/process/adding-syscalls.rst.
_SYS_FSCONFIG: Final = 431
_SYS_FSPICK: Final = 433
# linux/mount.h
_FSPICK_CLOEXEC: Final = 0x1
_FSPICK_EMPTY_PATH: Final = 0x8
_FSCONFIG_SET_STRING: Final = 1
_FSCONFIG_CMD_RECONFIGURE: Final = 7
_TRIES: Final = 100

Room = tuple[int, int]
"""What a file system holds at most and what it holds now, in bytes."""


def room(folder: int) -> Room:
    """Of the file system of an open folder."""
    status = os.fstatvfs(folder)
    return status.f_blocks * status.f_frsize, (status.f_blocks - status.f_bfree) * status.f_frsize


def set_size(folder: int, size: int) -> None:
    """Let the tmpfs whose root is open as `folder` hold `size` bytes, rounded up to pages; not less than it holds.

    Raises KernelError: EINVAL for less than it holds or for what is no root of a tmpfs, EPERM without CAP_SYS_ADMIN
    in the user namespace that it was mounted in.
    """
    context = _syscall("fspick", _SYS_FSPICK, folder, b"", _FSPICK_CLOEXEC | _FSPICK_EMPTY_PATH)
    try:
        # Zero would mean that there is no limit.
        value = b"%d" % max(size, 1)
        _syscall("fsconfig(size)", _SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, b"size", value, 0)
        _syscall("fsconfig(reconfigure)", _SYS_FSCONFIG, context, _FSCONFIG_CMD_RECONFIGURE, None, None, 0)
    finally:
        os.close(context)


def fill(folder: int) -> None:
    """Let the tmpfs hold what it holds now and no page more, whatever is written to it meanwhile: ENOSPC from here on.

    Raises KernelError as set_size.
    """
    for _ in range(_TRIES):
        _, used = room(folder)
        try:
            set_size(folder, used)
        except KernelError as error:
            if error.errno != errno.EINVAL or room(folder)[1] <= used:
                raise
            continue
        return
    raise KernelError("fsconfig(size)", errno.EBUSY, hint="the program fills its files faster than they can be limited")


def _syscall(name: str, number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise KernelError(name, ctypes.get_errno(), hint="the kernel must be Linux 5.2 or newer, and harden root")
    return result
