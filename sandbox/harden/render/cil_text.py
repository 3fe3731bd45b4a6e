"""Words of SELinux's CIL: paths as the regular expressions that file contexts are, written with plain characters only.

Source: SELinux Project, CIL Reference Guide, "File Labeling Statements"; file_contexts(5). A string of CIL has no
escapes and ends at the next quote, a line of file contexts is split at white space, so every byte that is not a letter
or digit is written as the expression `\\xHH`.
"""

from __future__ import annotations

from typing import Final

from harden.model.path_pattern import NAMED_PARTS, PathPattern
from harden.render.quoted import Quoted

__all__ = ["beneath", "expression"]

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-:=~%")
_WILDCARDS: Final = {"*": "[^/]*", "**": ".*"}


def expression(pattern: PathPattern) -> Quoted:
    """The quoted expression that matches what `pattern` does."""
    return Quoted(f'"{"".join(map(_token, pattern.tokens))}"')


def beneath(folder: bytes) -> Quoted:
    """The quoted expression of a folder and everything in it."""
    return Quoted(f'"{_literal(folder)}(/.*)?"')


def _token(token: bytes | str) -> str:
    if isinstance(token, bytes):
        return _literal(token)
    return _WILDCARDS.get(token) or NAMED_PARTS[token[2:-1]].decode("ascii")


def _literal(text: bytes) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in text)
