"""Words of systemd's unit files: quoted, specifiers doubled; what such a file cannot hold is refused.

Source: systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers". A file is UTF-8 and a setting is one line, and the
settings for paths do not expand `\\n` or `\\xHH`: so a path with such bytes cannot be written.
"""

from __future__ import annotations

from typing import Final

from harden.render.quoted import Quoted

__all__ = ["path_word"]

_LONGEST: Final = 4095
"""PATH_MAX without its NUL (limits.h): systemd refuses a longer path."""


def path_word(path: bytes, *, separates_colons: bool = False) -> Quoted | None:
    """`path` as one word that is left out by systemd where nothing is there; None when it cannot be written.

    `separates_colons`: the setting takes a colon for the end of a path (BindPaths=).
    """
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if len(path) > _LONGEST or not text.isprintable() or (separates_colons and ":" in text):
        return None
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return Quoted(f'"-{escaped}"')
