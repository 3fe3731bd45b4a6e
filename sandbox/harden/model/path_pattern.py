"""Path patterns of a profile: path text with `*`, `**` and named parts, and what they match and cover.

`*` stands for any bytes but `/`, `**` for any bytes, `@{name}` for one of `NAMED_PARTS`. A literal `*` or `@` is
written `\\x2a`, `\\x40`, as path text writes any byte that is special.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

import msgspec

from harden.model.path_text import from_text, to_text

__all__ = ["NAMED_PARTS", "PathPattern"]

NAMED_PARTS: Final = {
    "pid": rb"[1-9][0-9]{0,6}",
    "tid": rb"[1-9][0-9]{0,6}",
    "uid": rb"(?:0|[1-9][0-9]{0,9})",
    "uuid": rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "hash": rb"[0-9a-f]{32,128}",
    "temp": rb"[A-Za-z0-9_]{6,16}",
    "int": rb"[0-9]{1,20}",
    "version": rb"[0-9]{1,20}(?:\.[0-9]{1,20}){1,4}",
}
"""The named parts, each with the bytes it stands for as a regular expression."""

_TOKEN: Final = re.compile(r"\*\*|\*|@\{([a-z]+)\}")
_ANY_SEGMENT: Final = rb"[^/]*"
_ANY: Final = rb".*"


class PathPattern(msgspec.Struct, frozen=True, dict=True, order=True):
    """A parsed pattern; `parse` is the way to make one."""

    text: str
    tokens: tuple[bytes | str, ...]
    """Literal bytes, or the text of a wildcard."""

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """The pattern written as `text`; ValueError when it is not absolute or names an unknown part."""
        if not text.startswith("/"):
            raise ValueError(f"{text!r}: a path must be absolute")
        tokens: list[bytes | str] = []
        position = 0
        for match in _TOKEN.finditer(text):
            if match[1] is not None and match[1] not in NAMED_PARTS:
                raise ValueError(f"{text!r}: @{{{match[1]}}} is none of {', '.join(sorted(NAMED_PARTS))}")
            tokens += [from_text(text[position : match.start()])] if match.start() > position else []
            tokens.append(match[0])
            position = match.end()
        tokens += [from_text(text[position:])] if position < len(text) else []
        pattern = cls(text=text, tokens=tuple(tokens))
        if any(part in (b".", b"..", b"") for part in _segments(pattern)):
            raise ValueError(f"{text!r}: a path must have no empty, '.' or '..' part")
        return pattern

    @classmethod
    def literal(cls, path: bytes) -> PathPattern:
        """The pattern that matches `path` alone."""
        return cls.parse(to_text(path).replace("*", "\\x2a").replace("@", "\\x40"))

    @property
    def is_literal(self) -> bool:
        """No wildcard in it: it names exactly one path."""
        return all(isinstance(token, bytes) for token in self.tokens)

    @property
    def path(self) -> bytes:
        """The one path of a literal pattern; ValueError for any other."""
        if not self.is_literal:
            raise ValueError(f"{self.text!r} stands for many paths")
        return b"".join(token for token in self.tokens if isinstance(token, bytes))

    @property
    def folder(self) -> bytes:
        """The deepest folder that holds everything the pattern matches: the parent, for a literal one."""
        prefix = self.tokens[0] if isinstance(self.tokens[0], bytes) else b"/"
        return prefix.rsplit(b"/", 1)[0] or b"/"

    def matches(self, path: bytes) -> bool:
        """Whether the pattern stands for `path`."""
        return self._expression.fullmatch(path) is not None

    def covers(self, other: PathPattern) -> bool:
        """Whether everything `other` stands for is matched here; may answer no where the proof is not simple."""
        if self.text == other.text:
            return True
        if other.is_literal:
            return self.matches(other.path)
        return self.tokens[-1] == "**" and len(self.tokens) == 2 and other._prefix.startswith(self._prefix)

    @cached_property
    def _expression(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(_expression_of(token) for token in self.tokens), re.DOTALL)

    @property
    def _prefix(self) -> bytes:
        return self.tokens[0] if isinstance(self.tokens[0], bytes) else b""


def _expression_of(token: bytes | str) -> bytes:
    match token:
        case bytes():
            return re.escape(token)
        case "*":
            return _ANY_SEGMENT
        case "**":
            return _ANY
        case _:
            return NAMED_PARTS[token[2:-1]]


def _segments(pattern: PathPattern) -> list[bytes]:
    whole = b"".join(token if isinstance(token, bytes) else token.encode() for token in pattern.tokens)
    return [] if whole == b"/" else whole[1:].split(b"/")
