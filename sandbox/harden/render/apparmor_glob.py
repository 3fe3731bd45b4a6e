"""What a glob of AppArmor's (AARE) is sure to match, as a regular expression over path patterns.

Where the parser's reading of a glob is wide in doubt, the narrow one is taken: this is to prove that a rule is covered.
Source: apparmor.d(5), "Globbing (AARE)"; convert_aaregex_to_pcre() of the parser for `*` between slashes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from harden.model.path_pattern import PathPattern
from harden.render.apparmor_rule import FileRule

__all__ = ["Variables", "matches", "value_expression"]

Variables = tuple[tuple[str, tuple[str, ...]], ...]
"""Names with their values; a tuple, so that what is made of a glob can be kept."""

_DEEPEST: Final = 8
_TOKENS: Final = re.compile(r"@\{\w+\}|\\[0-7]{3}|\\.|\*+|\[[^\]]+\]|.", re.DOTALL)
_WILDCARDS: Final = ("**", "*", "@{pid}", "@{tid}", "@{uid}", "@{uuid}", "@{hash}", "@{temp}", "@{int}", "@{version}")
_MARKERS: Final = {token: chr(0x100 + index) for index, token in enumerate(_WILDCARDS)}
"""One character that no byte is, for each part of a pattern that stands for many names."""
_IN_NAME: Final = rf"[^/{_MARKERS['**']}]"
_ANY: Final = r"[\s\S]"
_ALL_MARKERS: Final = f"{_MARKERS['**']}-{_MARKERS['@{version}']}"
_ONE: Final = f"[^/{_ALL_MARKERS}]"
_LENGTHS: Final = tuple(str(number) for power in range(6) for number in (10**power, 10 ** (power + 1) - 1))
_NUMBERS: Final = {
    "@{pid}": ("@{pid}@{tid}", (*_LENGTHS, "1000000", "4194304")),
    "@{uid}": ("@{uid}", ("0", *_LENGTHS, "1000000000", "4294967294")),
}
"""Variables that stand for a named part if they match its smallest and largest number of each length.

The largest of all are PID_MAX_LIMIT and, of uid_t, what is not -1.
"""
_SAME: Final = {"@{pids}": "@{pid}", "@{tid}": "@{pid}", "@{uids}": "@{uid}"}


class _Unreadable(Exception):
    """A glob is not understood, so that nothing is known to be matched."""


def matches(glob: str, variables: Variables, rule: FileRule) -> bool:
    """Whether every path that `rule` is about is one of `glob`."""
    expression = _compiled(glob, variables)
    return expression is not None and expression.fullmatch(_subject(rule.pattern, rule.suffix)) is not None


def value_expression(value: str, variables: Variables) -> str:
    """The regular expression of a variable's value, without slashes at its end; one that never matches if in doubt."""
    try:
        return "".join(_translated(value.rstrip("/"), dict(variables), 0))
    except _Unreadable:
        return r"(?!)"


@functools.cache
def _compiled(glob: str, variables: Variables) -> re.Pattern[str] | None:
    try:
        return re.compile("".join(_translated(glob, dict(variables), 0)))
    except (_Unreadable, re.error):
        return None


def _subject(pattern: PathPattern, suffix: str) -> str:
    parts = (token.decode("latin-1") if isinstance(token, bytes) else _MARKERS[token] for token in pattern.tokens)
    text = "".join(parts)
    return text if suffix and text.endswith(suffix) else text + suffix


def _translated(glob: str, variables: Mapping[str, tuple[str, ...]], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise _Unreadable
    before, open_braces = "", 0
    tokens = [found[0] for found in _TOKENS.finditer(glob)]
    for index, token in enumerate(tokens):
        after = tokens[index + 1] if index + 1 < len(tokens) else ""
        if token.startswith("@{"):
            yield _variable(token, after, variables, depth)
        elif token.startswith("*"):
            alone = before == "/" and after in ("", "/")
            yield _star(token, alone=alone)
        elif token == "?":
            yield _ONE
        elif token.startswith("[") and len(token) > 1:
            yield _set(token)
        elif token == "{":
            open_braces += 1
            yield "(?:"
        elif token == "}" and open_braces:
            open_braces -= 1
            yield ")"
        elif token == "," and open_braces:
            yield "|"
        elif token in ("[", "]", "{", "}", "^"):
            raise _Unreadable
        else:
            yield _literal(token)
        before = token
    if open_braces:
        raise _Unreadable


def _variable(name: str, after: str, variables: Mapping[str, tuple[str, ...]], depth: int) -> str:
    """Its values; a slash that ends one and one that follows are one slash."""
    if name not in variables:
        raise _Unreadable
    values = [value.rstrip("/") if after == "/" else value for value in variables[name]]
    expression = "|".join("".join(_translated(value, variables, depth + 1)) for value in values)
    parts, samples = _NUMBERS.get(_SAME.get(name, name), ("", ()))
    if samples and all(re.fullmatch(expression, sample) for sample in samples):
        markers = "".join(marker for part, marker in _MARKERS.items() if part in parts and part.startswith("@"))
        expression += f"|[{markers}]"
    return f"(?:{expression})"


def _star(token: str, *, alone: bool) -> str:
    if len(token) > 1:
        return f"[^/]{_ANY}*" if alone else f"{_ANY}*"
    return f"{_IN_NAME}+" if alone else f"{_IN_NAME}*"


def _set(token: str) -> str:
    inner = token[1:-1].replace("\\", "\\\\")
    return f"[^/{_ALL_MARKERS}{inner[1:]}]" if inner.startswith("^") else f"[{inner}]"


def _literal(token: str) -> str:
    if token.startswith("\\") and len(token) == 4:
        return re.escape(chr(int(token[1:], 8)))
    return re.escape("".join(chr(byte) for byte in token[-1].encode()))
