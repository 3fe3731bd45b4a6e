"""Start harden-exec as a child: posix_spawn(3), so that no Python runs between fork and exec."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from harden.errors import KernelError, UsageError

__all__ = ["fill_standard_streams", "spawn"]


def fill_standard_streams() -> None:
    """Open /dev/null on 0, 1 and 2 where they are closed: a descriptor of harden's own that lands there would become
    the program's. Raises KernelError, and UsageError for a folder: from there ".." leads to all that the host has."""
    try:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for number in range(3):
            try:
                status = os.fstat(number)
            except OSError:
                os.dup2(null, number)
            else:
                _refuse_folder(status)
        if null > 2:
            os.close(null)
        else:
            os.set_inheritable(null, True)
    except OSError as error:
        raise KernelError('open("/dev/null")', error.errno or 0, hint="harden needs /dev/null") from None


def _refuse_folder(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(
            "a standard stream: it is a folder of the host, and a way out of the sandbox",
            hint="give it a file or /dev/null; --bind shows a folder",
        )


def spawn(program: int, plan: int, inherited: Iterable[int], streams: tuple[int | None, int | None, int | None]) -> int:
    """Run the memfd `program` on the plan in the memfd `plan`; returns its pid. Raises KernelError.

    The numbers in `inherited` are the same there. `streams` become 0, 1 and 2.
    """
    # dup2 of a descriptor to itself takes its close-on-exec flag away in the child (posix_spawn_file_actions_adddup2).
    actions: list[tuple[int, int, int]] = [(os.POSIX_SPAWN_DUP2, number, number) for number in inherited]
    actions += [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate(streams) if fd is not None and fd != to]
    try:
        return os.posix_spawn(f"/proc/self/fd/{program}", [b"harden-exec", b"%d" % plan], {}, file_actions=actions)
    except OSError as error:
        raise KernelError(
            "execve(harden-exec)", error.errno or 0, hint="the sysctl vm.memfd_noexec must be 0, and /proc mounted"
        ) from None
