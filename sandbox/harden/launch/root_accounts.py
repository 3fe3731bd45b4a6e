"""The numbers of users and groups by name: those of the host, or of another root file system (--rootfs).

Of another root its own /etc/passwd and /etc/group are asked, and nothing else (no nsswitch.conf(5)): they are read with
that folder as the root, so that no link leads out of it, and all that they can say is a number inside of a sandbox.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from typing import Final

from harden.errors import UsageError
from harden.kernel.account import account
from harden.launch.rootfs import host_path
from harden.model.stored_isolation import MOST_ID

__all__ = ["group_number", "user_numbers"]

_LARGEST: Final = 16 * 1024 * 1024


def user_numbers(name: str, *, given: str, rootfs: bytes | None) -> tuple[int, int]:
    """A user's number and that of the primary group: passwd(5); `given` says where the name is from.

    Raises UsageError when there is no such user, or one whose ids a sandbox cannot have.
    """
    if rootfs is None:
        return account(name, given=given)
    fields = _entry("passwd", name, given=given, rootfs=rootfs, hint="give --user UID[:GID] in numbers")
    return _number(fields[2], given=given), _number(fields[3], given=given)


def group_number(name: str, *, given: str, rootfs: bytes | None) -> int:
    """A group's number: group(5); UsageError as from `user_numbers`."""
    if rootfs is not None:
        return _number(_entry("group", name, given=given, rootfs=rootfs, hint="give its number")[2], given=given)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"{given}: no such group on this host", hint="give its number") from None


def _entry(database: str, name: str, *, given: str, rootfs: bytes, hint: str) -> list[bytes]:
    path = f"/etc/{database}"
    for fields in _lines(path.encode(), rootfs):
        if len(fields) > 3 and fields[0] == os.fsencode(name):
            return fields
    raise UsageError(f"{given}: {path} of {os.fsdecode(rootfs)} has no {name!r}", hint=hint)


def _lines(path: bytes, rootfs: bytes) -> Iterator[list[bytes]]:
    """The fields of each line; none where there is no such regular file."""
    found = host_path(path, rootfs)
    if found is None:
        return
    try:
        descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{os.fsdecode(found)}: {error.strerror}", hint="give numbers instead of names") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
        os.close(descriptor)
        raise UsageError(
            f"{os.fsdecode(found)}: not a file of at most {_LARGEST} bytes", hint="give numbers instead of names"
        )
    with os.fdopen(descriptor, "rb") as file:
        for line in file.read(_LARGEST).splitlines():
            yield line.split(b":")


def _number(text: bytes, *, given: str) -> int:
    if not text.isdigit() or len(text) > 10 or int(text) > MOST_ID:
        raise UsageError(f"{given}: ids inside a sandbox go from 0 to {MOST_ID}, not {text.decode(errors='replace')!r}")
    return int(text)
