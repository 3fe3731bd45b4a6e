"""Whether a user or group is what /etc says, so that the file tells when that changes: nsswitch.conf(5), passwd(5)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["is_of_file"]

_SOURCES: Final = Path("/etc/nsswitch.conf")


def _first_source(database: str) -> str:
    """What the C library asks first; without an entry that is the file."""
    try:
        lines = _SOURCES.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "files"
    for line in lines:
        name, _, sources = line.partition("#")[0].partition(":")
        if name.strip() == database:
            return (sources.split() or ["files"])[0]
    return "files"


def is_of_file(database: str, word: str) -> bool:
    """Whether the answer about `word`, a name or a number, comes from /etc/`database` (passwd or group) alone.

    Raises OSError when the file cannot be read.
    """
    if _first_source(database) != "files":
        return False
    lines = Path("/etc", database).read_text(errors="replace").splitlines()
    return any(word in (fields[0], fields[2]) for fields in (line.split(":") for line in lines) if len(fields) > 2)
