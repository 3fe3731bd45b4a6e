"""Option values that several commands share, parsed once into types that cannot be wrong."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable
from typing import Final

from harden.errors import UsageError
from harden.model.capability import Capability
from harden.model.control import Control
from harden.model.sandbox import Bind
from harden.model.scenario import LONGEST_S, Ready
from harden.model.stored_isolation import MOST_ID

__all__ = [
    "parse_bind",
    "parse_capabilities",
    "parse_controls",
    "parse_environment",
    "parse_ready",
    "parse_redactions",
    "parse_timeout",
    "parse_user",
    "user_name",
]

_ALL: Final = "ALL"


def parse_bind(text: str) -> Bind:
    """SRC[:DST][:rw] or [:ro]; DST is SRC's absolute path when it is left out."""
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 1 and parts[-1] in ("ro", "rw") else "ro"
    if not 1 <= len(parts) <= 2 or not all(parts):
        raise UsageError(f"--bind {text!r}: expected SRC[:DST][:rw]")
    source = os.path.abspath(parts[0])
    target = parts[1] if len(parts) == 2 else source
    if not target.startswith("/") or ".." in target.split("/"):
        raise UsageError(f"--bind {text!r}: {target!r} is no absolute path")
    return Bind(source=os.fsencode(source), target=os.fsencode(target), writable=mode == "rw")


def parse_capabilities(
    base: Collection[Capability], *, add: Iterable[str], drop: Iterable[str]
) -> frozenset[Capability]:
    """`base` without `drop`, then with `add`, so that `--cap-drop ALL --cap-add X` leaves X."""
    held = set(base)
    for name in drop:
        held = set() if name.upper() == _ALL else held - {Capability.parse(name)}
    for name in add:
        held |= set(Capability) if name.upper() == _ALL else {Capability.parse(name)}
    return frozenset(held)


def parse_controls(names: Iterable[str]) -> frozenset[Control]:
    """Names of controls; UsageError lists the known ones."""
    found = set()
    for name in names:
        try:
            found.add(Control(name))
        except ValueError:
            raise UsageError(f"unknown control {name!r}", hint=f"one of {', '.join(Control)}") from None
    return frozenset(found)


def parse_environment(items: Iterable[str]) -> dict[str, str]:
    """K=V sets a value, K alone takes the caller's; UsageError when the caller has none."""
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name:
            raise UsageError(f"--env {item!r}: expected NAME or NAME=VALUE")
        if not equals and name not in os.environ:
            raise UsageError(f"--env {name}: not set in the environment", hint=f"--env {name}=VALUE")
        found[name] = value if equals else os.environ[name]
    return found


def parse_ready(text: str | None) -> Ready | None:
    """A number is a TCP port, what starts with / a path, all else a text of the output; no limit to the wait."""
    if text is None:
        return None
    within_s = LONGEST_S
    try:
        if text.isdecimal() and text.isascii():
            return Ready(port=int(text), within_s=within_s)
        return Ready(path=text, within_s=within_s) if text.startswith("/") else Ready(text=text, within_s=within_s)
    except ValueError as error:
        raise UsageError(f"--ready {text!r}: {error}") from None


def parse_redactions(patterns: Iterable[str]) -> tuple[str, ...]:
    """Regular expressions; UsageError for what is none, and for what would mask nothing at all."""
    found = []
    for pattern in patterns:
        try:
            matches_nothing = re.compile(pattern).search("") is not None
        except re.error as error:
            raise UsageError(f"--redact {pattern!r}: {error}") from None
        if matches_nothing:
            raise UsageError(f"--redact {pattern!r}: it matches the empty text", hint="match what is to be masked")
        found.append(pattern)
    return tuple(found)


def parse_timeout(seconds: float | None) -> float | None:
    """Seconds to wait; UsageError for what is no amount of time."""
    if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= LONGEST_S):
        raise UsageError(f"--timeout {seconds}: must be more than 0 and at most {LONGEST_S:.0f} seconds")
    return seconds


def parse_user(text: str | None, *, rootfs: bytes | None = None) -> tuple[int | None, int | None]:
    """UID[:GID] or the name of a user, whose primary group is taken; (None, None) for None.

    The user is one of the root file system `rootfs`, or of the host.
    """
    if text is None:
        return None, None
    user, colon, group = text.partition(":")
    if user.isdecimal() and user.isascii():
        uid, gid = int(user), int(user)
    else:
        from harden.launch.root_accounts import user_numbers

        uid, gid = user_numbers(user, given=f"--user {text!r}", rootfs=rootfs)
    if colon:
        if not (group.isdecimal() and group.isascii()):
            raise UsageError(f"--user {text!r}: the group must be a number")
        gid = int(group)
    if uid > MOST_ID or gid > MOST_ID:
        raise UsageError(f"--user {text!r}: ids inside a sandbox go from 0 to {MOST_ID}")
    return uid, gid


def user_name(text: str | None) -> str:
    """The name in a value of `--user` that is a name and no more; empty for any other."""
    return text if text and ":" not in text and not (text.isdecimal() and text.isascii()) else ""
