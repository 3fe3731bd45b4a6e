"""Start harden-exec as a child: posix_spawn(3), so that no Python runs between fork and exec."""

from __future__ import annotations

import os
from collections.abc import Iterable

from harden.errors import KernelError

__all__ = ["fill_standard_streams", "spawn"]


def fill_standard_streams() -> None:
    """Open /dev/null on 0, 1 and 2 where they are closed: a descriptor of harden's own that lands there would become
    the program's. Raises KernelError."""
    try:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                os.dup2(null, number)
        if null > 2:
            os.close(null)
        else:
            os.set_inheritable(null, True)
    except OSError as error:
        raise KernelError('open("/dev/null")', error.errno or 0, hint="harden needs /dev/null") from None


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
