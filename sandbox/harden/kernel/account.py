"""Users of the host, by name: passwd(5) or whatever nsswitch.conf(5) says."""

from __future__ import annotations

import pwd

from harden.errors import UsageError
from harden.model.stored_isolation import MOST_ID

__all__ = ["account"]


def account(name: str, *, given: str) -> tuple[int, int]:
    """The user's number and that of the primary group; `given` says where the name is from.

    Raises UsageError when the host has no such user, or one whose ids a sandbox cannot have.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"{given}: no user {name!r} on this host", hint="give --user UID[:GID] in numbers") from None
    if entry.pw_uid > MOST_ID or entry.pw_gid > MOST_ID:
        raise UsageError(f"{given}: ids inside a sandbox go from 0 to {MOST_ID}")
    return entry.pw_uid, entry.pw_gid
