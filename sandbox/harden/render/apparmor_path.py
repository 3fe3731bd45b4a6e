"""Paths and names in AppArmor's grammar: quoted, every byte that could mean something written as an octal escape.

Source: apparmor.d(5), "Globbing (AARE)"; the parser unescapes octal in quoted text and protects what its own
expressions would take as special.
"""

from __future__ import annotations

from typing import Final

from harden.model.path_pattern import PathPattern
from harden.render.quoted import Quoted

__all__ = ["expression", "quoted_name", "quoted_pattern"]

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+=:%~")

_DIGIT: Final = "[0-9]"
_HEX: Final = "[0-9a-fA-F]"
_WORD: Final = "[A-Za-z0-9_]"


def _times(part: str, low: int, high: int) -> str:
    """`part` between `low` and `high` times: AARE has no repetition, so optional groups of doubling size."""
    out, rest, size = part * low, high - low, 1
    while rest:
        size = min(size, rest)
        out += f"{{,{part * size}}}"
        rest -= size
        size *= 2
    return out


_NUMBER: Final = "[1-9]" + _times(_DIGIT, 0, 6)
_NAMED: Final = {
    "@{pid}": _NUMBER,
    "@{tid}": _NUMBER,
    "@{uid}": "{0,[1-9]" + _times(_DIGIT, 0, 9) + "}",
    "@{uuid}": "-".join(_times(_HEX, count, count) for count in (8, 4, 4, 4, 12)),
    "@{hash}": _times("[0-9a-f]", 32, 128),
    "@{temp}": _times(_WORD, 6, 16),
    "@{int}": _times(_DIGIT, 1, 20),
    "@{version}": _times(_DIGIT, 1, 20) + _times("." + _times(_DIGIT, 1, 20), 1, 4),
}
"""The named parts of path patterns as AARE; they stand for the same bytes as `NAMED_PARTS`."""


def _escape(text: bytes) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in text)


def expression(pattern: PathPattern, *, suffix: str = "", variables: frozenset[str] = frozenset()) -> Quoted:
    """The quoted AARE that matches what `pattern` does, with `suffix` (a folder's final slash) after it.

    The named parts in `variables` stay as they are: the profile has variables of these names.
    """
    parts = [_escape(token) if isinstance(token, bytes) else _part(token, variables) for token in pattern.tokens]
    text = "".join(parts)
    return Quoted(f'"{text if suffix and text.endswith(suffix) else text + suffix}"')


def _part(token: str, variables: frozenset[str]) -> str:
    return token if token in variables else _NAMED.get(token, token)


def quoted_name(name: bytes) -> Quoted:
    """A name that is no pattern, quoted."""
    return Quoted(f'"{_escape(name)}"')


def quoted_pattern(name: str, pattern: str) -> Quoted:
    """A name followed by an AARE of ours, quoted."""
    return Quoted(f'"{_escape(name.encode())}{pattern}"')
