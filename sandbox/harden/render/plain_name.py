"""The profile's name where a grammar takes only few characters, and the names of the files that exports refer to."""

from __future__ import annotations

import re
from typing import Final

from harden.model.profile import Profile

__all__ = ["dns_label", "file_name", "plain_name", "symbol"]

_UNKNOWN: Final = re.compile(r"[^A-Za-z0-9._-]")
_MOST: Final = 128


def plain_name(profile: Profile) -> str:
    """Letters, digits, `.`, `_` and `-`, no leading `.` or `-`, at most 128 characters: a file name everywhere."""
    name = _UNKNOWN.sub("_", profile.name)[:_MOST]
    return f"_{name[1:]}" if name[:1] in (".", "-", "") else name


def file_name(profile: Profile, suffix: str) -> str:
    """What the file of a format is called: `--all` writes it under this name, other formats name it so."""
    return f"{plain_name(profile)}{suffix}"


def dns_label(profile: Profile) -> str:
    """A DNS label (RFC 1123), as Kubernetes wants names to be: at most 63 of a-z, 0-9 and `-`."""
    label = re.sub(r"[^a-z0-9]+", "-", profile.name.lower()).strip("-")[:63].rstrip("-")
    return label or "workload"


def symbol(profile: Profile) -> str:
    """An identifier: letters, digits and `_`."""
    return re.sub(r"[^A-Za-z0-9]", "_", plain_name(profile))
