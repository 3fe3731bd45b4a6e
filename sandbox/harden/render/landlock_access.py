"""Landlock's access rights as numbers and words. Source: include/uapi/linux/landlock.h, landlock(7)."""

from __future__ import annotations

import enum

__all__ = ["FileAccess", "NetAccess", "Scope"]


class FileAccess(enum.IntFlag):
    """LANDLOCK_ACCESS_FS_*: the first thirteen are ABI 1, REFER 2, TRUNCATE 3, IOCTL_DEV 5."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15

    def words(self) -> tuple[str, ...]:
        """The rights by name, in the kernel's order."""
        return tuple(str(right.name).lower() for right in FileAccess if right in self)


class NetAccess(enum.IntFlag):
    """LANDLOCK_ACCESS_NET_*: ABI 4."""

    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scope(enum.IntFlag):
    """LANDLOCK_SCOPE_*: ABI 6."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1
