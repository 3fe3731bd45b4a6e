"""Globs of policies: `*` and `?` within one part, `**` across folders."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["matches_path", "matches_text"]

_TOKEN: Final = re.compile(r"\*\*/|\*\*|\*|\?")
_PATH: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TEXT: Final = {"**/": ".*/", "**": ".*", "*": ".*", "?": "."}


def matches_path(glob: str, path: str) -> bool:
    """Whether `glob` stands for `path`, both relative to one folder or both absolute."""
    return _compiled(glob, True).fullmatch(path.removeprefix("./")) is not None


def matches_text(glob: str, text: str) -> bool:
    """Whether `glob` stands for `text`, in which `/` is a character like any other."""
    return _compiled(glob, False).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str, is_path: bool) -> re.Pattern[str]:
    table = _PATH if is_path else _TEXT
    parts, position = [], 0
    for match in _TOKEN.finditer(glob):
        parts += [re.escape(glob[position : match.start()]), table[match[0]]]
        position = match.end()
    return re.compile("".join([*parts, re.escape(glob[position:])]), re.DOTALL)
