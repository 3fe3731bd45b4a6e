"""A range of user and group ids that no other sandbox of this host uses: user_namespaces(7)."""

from __future__ import annotations

import fcntl
import os

from harden.errors import HardenError, KernelError

__all__ = ["IDS_PER_SANDBOX", "IdRange", "claim_id_range"]

IDS_PER_SANDBOX = 65536
_FIRST = 1879048192
"""The first id that neither useradd(8), nor /etc/subuid as distributions fill it, nor systemd assigns
(systemd.io/UIDS-GIDS: 1879048192 to 2147352575 is unused)."""
_COUNT = 4094
_FOLDER = "/run/harden/ids"


class IdRange:
    """`count` ids from `first` on, held for as long as `lock` is open in any process.

    A plain class: a start from a cached plan imports nothing for it.
    """

    __slots__ = ("count", "first", "lock")

    def __init__(self, *, first: int, count: int, lock: int) -> None:
        self.first = first
        self.count = count
        self.lock = lock


def _check_lock(path: str) -> None:
    """Raises KernelError where the file can be locked once more: then flock(2) only says that it locks."""
    again = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        os.close(again)
    raise HardenError(
        f'flock("{path}"): it says that it locked the file, and it did not',
        hint="a seccomp filter around harden answers for the kernel: allow the flock system call",
    )


def claim_id_range() -> IdRange:
    """Claim a free range by locking its file below /run/harden; raises KernelError.

    The lock is the open file description's (flock(2)): it lives on across execve and ends with the last process that
    has it open, so a crash leaves nothing behind that would have to be cleaned up.
    """
    try:
        os.makedirs(_FOLDER, 0o700, exist_ok=True)
        start = int.from_bytes(os.urandom(8), "little") % _COUNT
        for offset in range(_COUNT):
            index = (start + offset) % _COUNT
            lock = os.open(f"{_FOLDER}/{index}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            _check_lock(f"{_FOLDER}/{index}")
            return IdRange(first=_FIRST + index * IDS_PER_SANDBOX, count=IDS_PER_SANDBOX, lock=lock)
    except OSError as error:
        raise KernelError(
            f'open("{_FOLDER}", …)', error.errno or 0, hint="make /run writable for root, or use --userns=identity"
        ) from None
    raise KernelError(f'flock("{_FOLDER}/*")', 11, hint=f"{_COUNT} sandboxes are running; wait for one to end")
