"""System calls that are refused in a sandbox although its profile grants them: no rule lets them through."""

from __future__ import annotations

from typing import Final

__all__ = ["TOPOLOGY", "UNREADABLE"]

TOPOLOGY: Final = ("mount", "move_mount", "pivot_root", "umount", "umount2")
"""They change what is mounted, which Landlock refuses with EPERM to every process that it restricts:
Documentation/userspace-api/landlock.rst, "Filesystem topology modification"."""

UNREADABLE: Final = ("openat2", "io_uring_setup")
"""The modes that they give to files lie in memory, where no filter can look. Callers know how to do without: ENOSYS,
where changes reach the host."""
