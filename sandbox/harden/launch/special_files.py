"""Sockets and FIFOs in a folder of the host: ways to programs outside that read-only and nodev do not close."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections import deque
from typing import Final

import msgspec

__all__ = ["SpecialFiles", "find_special_files"]

_MOST_ENTRIES: Final = 200_000
"""About a second of looking."""


class SpecialFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Each (path, "socket" or "FIFO"); `complete` is False when the folder held too much to see it all."""

    files: tuple[tuple[bytes, str], ...]
    complete: bool


def _somebody_listens(path: bytes) -> bool:
    """Whether the socket is open; an abandoned one never will be again, for bind(2) makes a new file.

    connect(2) of a datagram socket disturbs nobody: on a stream socket it fails with EPROTOTYPE, and on a datagram
    socket it only notes the address.
    """
    try:
        place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
            return trial.connect_ex(f"/proc/self/fd/{place}") != errno.ECONNREFUSED
    finally:
        os.close(place)


def find_special_files(folder: bytes) -> SpecialFiles:
    """Those in and below `folder`, nearest first, without following links.

    A folder that harden may not read is passed over: as an ordinary user, what is in it is out of the program's reach.
    Device nodes are left out: everything is shown with nodev.
    """
    waiting = deque([folder])
    found: list[tuple[bytes, str]] = []
    seen = 0
    while waiting:
        at = waiting.popleft()
        try:
            entries = os.scandir(at)
        except OSError:
            continue
        with entries:
            for entry in entries:
                seen += 1
                if seen > _MOST_ENTRIES:
                    return SpecialFiles(files=tuple(found), complete=False)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                    kind = _kind(entry.path)
                    found += [(entry.path, kind)] if kind else []
    return SpecialFiles(files=tuple(sorted(found)), complete=True)


def _kind(path: bytes) -> str:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return ""
    if stat.S_ISFIFO(mode):
        return "FIFO"
    return "socket" if stat.S_ISSOCK(mode) and _somebody_listens(path) else ""
