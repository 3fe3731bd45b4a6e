"""Whose cgroup it is: a mark by which one that its owner could not remove is told from one that is just being made.

Imported by every start from a kept plan, so it imports nothing that the interpreter has not.
"""

from __future__ import annotations

import os

__all__ = ["mark", "remove_stale"]

_NAME = "user.harden.owner"
_PREFIX = "harden-"
_TOKEN = 12
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

    One without a mark is left alone by everybody. Raises OSError.
    """
    os.setxattr(payload, _NAME, b" ".join((_namespace(), b"%d" % os.getpid(), _started("self") or b"")))


def _is_stale(base: int, name: str) -> bool:
    if len(name) != len(_PREFIX) + _TOKEN or not name.startswith(_PREFIX) or set(name[len(_PREFIX) :]) - _HEXADECIMAL:
        return False
    try:
        folder = os.open(f"{name}/limited/payload", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=base)
    except OSError:
        return False
    try:
        namespace, pid, started = os.getxattr(folder, _NAME).split()
    except (OSError, ValueError):
        return False
    finally:
        os.close(folder)
    return namespace == _namespace() and pid.isdigit() and _started(pid.decode()) != started


def remove_stale(base: int) -> None:
    """Remove what owners that were killed have left in the cgroup open as `base`.

    Nobody else uses such a one, and the kernel removes none that holds a process: rmdir(2) answers EBUSY.
    """
    for name in os.listdir(base):
        if not _is_stale(base, name):
            continue
        try:
            for folder in (f"{name}/limited/payload", f"{name}/limited"):
                os.rmdir(folder, dir_fd=base)
            for folder in (f"{name}/helper", name):
                if os.path.isdir(f"/proc/self/fd/{base}/{folder}"):
                    os.rmdir(folder, dir_fd=base)
        except OSError:
            # Something in it is still ending, or another start was faster: the next one looks again.
            continue
