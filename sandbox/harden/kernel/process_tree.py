"""The processes below a process, by their numbers in this process's PID namespace: proc_pid_stat(5), pidfd_open(2)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

__all__ = ["children", "descendants", "kill_descendants", "send_if"]


def descendants(pid: int) -> list[int]:
    """All processes that descend from `pid`, sorted."""
    parents = _parents()
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = [each for each, parent in parents.items() if parent in waiting]
        found += below
        waiting = below
    return sorted(found)


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`, sorted."""
    return sorted(each for each, parent in _parents().items() if parent == pid)


def _parents() -> dict[int, int]:
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # A zombie is nobody any more: only its parent can do something about it.
            if fields[0] != b"Z":
                parents[int(folder.name)] = int(fields[1])
    return parents


def send_if(pid: int, number: int, is_meant: Callable[[], bool]) -> None:
    """Send a signal to the process that has the number `pid` while `is_meant` says that it is the right one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Asked once it is held: the number cannot come to mean another process any more.
        if is_meant():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def kill_descendants(pid: int, *, kept: int) -> None:
    """Kill every process below `pid` but `kept` and what is below that, until none is left."""
    while doomed := set(descendants(pid)) - {kept, *descendants(kept)}:
        for each in doomed:
            send_if(each, signal.SIGKILL, lambda each=each: each in descendants(pid))  # type: ignore[misc]
