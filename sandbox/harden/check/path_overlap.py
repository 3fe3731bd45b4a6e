"""Whether two path patterns stand for a path in common, exactly: no forbidden path slips through behind a wildcard."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from harden.model.path_pattern import PathPattern

__all__ = ["overlap"]

_ANY: Final = frozenset(range(1, 256))
_NAME: Final = _ANY - {ord("/")}
_DIGITS: Final = frozenset(b"0123456789")
_HEX: Final = _DIGITS | frozenset(b"abcdefABCDEF")
_PART_BYTES: Final = {
    "uuid": _HEX | frozenset(b"-"),
    "hash": _HEX,
    "temp": frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
    "version": _DIGITS | frozenset(b"."),
}
"""The bytes of a named part; its length and shape are not looked at, so it stands for a little more here."""

_Step = tuple[frozenset[int], bool]
"""The bytes that may come, and whether any number of them may."""


def overlap(one: PathPattern, other: PathPattern) -> bool:
    """Whether some path is matched by both patterns; may say yes where only the shape of a named part forbids it."""
    if not _prefixes_agree(one, other):
        return False
    if one.is_literal and other.is_literal:
        return one.path == other.path
    if one.is_literal and _is_simple(other):
        return other.matches(one.path)
    if other.is_literal and _is_simple(one):
        return one.matches(other.path)
    return _meet(_steps(one), _steps(other))


def _is_simple(pattern: PathPattern) -> bool:
    """Few enough wildcards for a regular expression, whose time can grow with the power of their number."""
    return sum(isinstance(token, str) for token in pattern.tokens) <= 2


def _prefixes_agree(one: PathPattern, other: PathPattern) -> bool:
    first, second = one.tokens[0], other.tokens[0]
    if not (isinstance(first, bytes) and isinstance(second, bytes)):
        return True
    length = min(len(first), len(second))
    return first[:length] == second[:length]


@lru_cache(maxsize=4096)
def _steps(pattern: PathPattern) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    for token in pattern.tokens:
        if isinstance(token, bytes):
            steps += [(frozenset({byte}), False) for byte in token]
        elif token in ("*", "**"):
            steps.append((_ANY if token == "**" else _NAME, True))
        else:
            bytes_ = _PART_BYTES.get(token[2:-1], _DIGITS)
            steps += [(bytes_, False), (bytes_, True)]
    return tuple(steps)


def _meet(one: tuple[_Step, ...], other: tuple[_Step, ...]) -> bool:
    """Whether the two automata share a word: a search over pairs of positions."""
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if i == len(one) and j == len(other):
            return True
        for pair in _next(one, other, i, j):
            if pair not in reached:
                reached.add(pair)
                todo.append(pair)
    return False


def _next(one: tuple[_Step, ...], other: tuple[_Step, ...], i: int, j: int) -> list[tuple[int, int]]:
    found = []
    if i < len(one) and one[i][1]:
        found.append((i + 1, j))
    if j < len(other) and other[j][1]:
        found.append((i, j + 1))
    if i < len(one) and j < len(other) and one[i][0] & other[j][0]:
        found.append((i if one[i][1] else i + 1, j if other[j][1] else j + 1))
    return found
