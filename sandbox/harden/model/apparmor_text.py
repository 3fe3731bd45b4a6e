"""The statements of an AppArmor profile text (apparmor.d(5)): block headers, rules, includes, variables."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from harden.errors import DocumentError

__all__ = ["Source", "Statement", "StatementKind", "statements", "words"]

_MOST_STATEMENTS: Final = 50_000
_LARGEST_DEPTH: Final = 16
_INCLUDE: Final = re.compile(r"#?include\s+(?:if\s+exists\s+)?(\S.*)")
_VARIABLE: Final = re.compile(r"(@\{\w+\}|\$\{?\w+\}?)\s*(\+?=)\s*(.*)")
_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|((?:\\.|\([^)]*\)|[^\s"])+)', re.DOTALL)


class Source(Protocol):
    """A text with its places."""

    @property
    def text(self) -> str:
        """All of it."""

    @property
    def file(self) -> str:
        """Its name, for messages."""

    def problem(self, offset: int, problem: str, *, hint: str | None = None) -> DocumentError:
        """The error to raise for what stands at `offset`."""


class StatementKind(enum.Enum):
    """What a statement is."""

    OPEN = "block header"
    CLOSE = "end of a block"
    RULE = "rule"
    INCLUDE = "include"
    VARIABLE = "variable"


class Statement(msgspec.Struct, frozen=True):
    """One statement; `text` is without its terminator, comments replaced by blanks."""

    kind: StatementKind
    text: str
    offset: int


def words(text: str) -> tuple[str, ...]:
    """The words of a statement; a quoted word loses its quotes, parentheses hold a word together."""
    return tuple(found[1] if found[1] is not None else found[2] for found in _WORD.finditer(text))


def statements(source: Source) -> Iterator[Statement]:
    """Every statement in order; DocumentError for text that ends inside one or has unbalanced blocks."""
    text, position, depth, count = source.text, 0, 0, 0
    while True:
        position = _skip_blank(text, position)
        if position >= len(text):
            break
        count += 1
        if count > _MOST_STATEMENTS:
            raise source.problem(
                position, f"more than {_MOST_STATEMENTS} statements", hint="check the profiles one by one"
            )
        statement, position = _next(source, position)
        depth += (statement.kind is StatementKind.OPEN) - (statement.kind is StatementKind.CLOSE)
        if depth < 0:
            raise source.problem(statement.offset, "'}' closes no profile")
        if depth > _LARGEST_DEPTH:
            raise source.problem(statement.offset, f"blocks are nested deeper than {_LARGEST_DEPTH}")
        yield statement
    if depth:
        raise DocumentError(source.file, "ends inside a profile: '}' is missing")


def _skip_blank(text: str, position: int) -> int:
    while position < len(text):
        if text[position].isspace():
            position += 1
        elif text[position] == "#" and not _INCLUDE.match(text, position):
            position = _line_end(text, position)
        else:
            break
    return position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _next(source: Source, start: int) -> tuple[Statement, int]:
    text = source.text
    if text[start] == "}":
        return Statement(StatementKind.CLOSE, "", start), start + 1
    end = _line_end(text, start)
    included = _INCLUDE.match(text, start, end)
    if included is not None:
        return Statement(StatementKind.INCLUDE, included[1].partition("#")[0].strip().rstrip(","), start), end
    variable = _VARIABLE.match(text, start, end)
    if variable is not None:
        line = text[start:end].partition(" #")[0].strip()
        return Statement(StatementKind.VARIABLE, line, start), end
    return _rule_or_header(source, start)


def _rule_or_header(source: Source, start: int) -> tuple[Statement, int]:
    text, position = source.text, start
    inside: list[str] = []
    parts: list[str] = []
    while position < len(text):
        char = text[position]
        if char == "\\":
            parts.append(text[position : position + 2])
            position += 2
            continue
        if char == '"' and (not inside or inside[-1] == '"'):
            inside = inside[:-1] if inside else ['"']
        elif inside and inside[-1] == '"':
            pass
        elif char == "#" and text[position - 1].isspace():
            position = _line_end(text, position)
            continue
        elif (
            char == "{"
            and not inside
            and text[position - 1].isspace()
            and not text[position + 1 : position + 2].strip()
        ):
            return Statement(StatementKind.OPEN, "".join(parts).strip(), start), position + 1
        elif char in "{([":
            inside.append(char)
        elif char in "})]" and inside:
            inside.pop()
        elif char == "}":
            raise source.problem(position, "a rule ends without ','")
        elif char == "," and not inside:
            return Statement(StatementKind.RULE, "".join(parts).strip(), start), position + 1
        parts.append(char)
        position += 1
    raise source.problem(start, "a rule ends without ','")
