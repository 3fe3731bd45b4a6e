"""How much memory the processes of a cgroup have now: proc_pid_statm(5)."""

from __future__ import annotations

import os

__all__ = ["resident_bytes"]

_PAGE = os.sysconf("SC_PAGESIZE")


def resident_bytes(cgroup: int) -> int:
    """Bytes resident in the processes of the cgroup v2 behind this descriptor; 0 where none is left.

    What each has to itself (anonymous memory) is added up; of what it shares (files and shared memory) the largest
    counts once, because processes of one program share most of it.
    """
    own, shared = 0, 0
    for pid in _read("cgroup.procs", cgroup).split():
        # Gone by now, or its memory is: both read as nothing.
        words = _read(f"/proc/{int(pid)}/statm").split()
        if len(words) > 2:
            own += int(words[1]) - int(words[2])
            shared = max(shared, int(words[2]))
    return (own + shared) * _PAGE


def _read(path: str, folder: int | None = None) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except (FileNotFoundError, ProcessLookupError):
        return b""
    with open(descriptor, "rb") as file:
        try:
            return file.read()
        except ProcessLookupError:
            return b""
