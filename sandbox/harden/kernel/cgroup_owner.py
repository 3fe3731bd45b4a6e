"""Whose cgroup it is: a mark by which one that its owner could not remove is told from one that is just being made.

Imported by every start from a kept plan, so it imports nothing that the interpreter has not.
"""

from __future__ import annotations

import errno
import os
import time

__all__ = ["mark", "remove_stale"]

_NAME = "user.harden.owner"
_PREFIX = "harden-"
_TOKEN = 12
_ABANDONED_S = 600
"""A start takes well under a second from the folder to its mark."""
_HEXADECIMAL = frozenset("0123456789abcdef")


def _started(pid: str) -> bytes | None:
    """When a process began, in ticks since the boot (proc(5)): a number is used again, the pair is not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _namespace() -> bytes:
    """Numbers of processes mean nothing in another pid namespace than this."""
    return b"%d" % os.stat("/proc/self/ns/pid").st_ino


def mark(payload: int) -> None:
    """Note on the folder of the payload that this process, under whatever program, will remove the whole.

    One without a mark is being made, and left alone by everybody until it is much too old for that. Raises OSError.
    """
    os.setxattr(payload, _NAME, b" ".join((_namespace(), b"%d" % os.getpid(), _started("self") or b"")))


def _is_stale(base: int, name: str) -> bool:
    if len(name) != len(_PREFIX) + _TOKEN or not name.startswith(_PREFIX) or set(name[len(_PREFIX) :]) - _HEXADECIMAL:
        return False
    try:
        owner = _owner(base, name)
        if not owner:
            return time.time() - os.stat(name, dir_fd=base).st_mtime > _ABANDONED_S
        namespace, pid, started = owner
    except (OSError, ValueError):
        return False
    return namespace == _namespace() and pid.isdigit() and _started(pid.decode()) != started


def _owner(base: int, name: str) -> list[bytes]:
    """What mark() noted, or nothing. Raises OSError."""
    try:
        return os.getxattr(f"/proc/self/fd/{base}/{name}/limited/payload", _NAME).split()
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOENT):
            raise
        return []


def remove_stale(base: int) -> None:
    """Remove what owners that were killed have left in the cgroup open as `base`.

    Nobody else uses such a one, and the kernel removes none that holds a process: rmdir(2) answers EBUSY.
    """
    for name in os.listdir(base):
        if not _is_stale(base, name):
            continue
        try:
            for folder in (f"{name}/limited/payload", f"{name}/limited", f"{name}/helper", name):
                if os.path.isdir(f"/proc/self/fd/{base}/{folder}"):
                    os.rmdir(folder, dir_fd=base)
        except OSError:
            # Something in it is still ending, or another start was faster: the next one looks again.
            continue
