"""AppArmor's path globs as path patterns; where no pattern is that narrow, a wider one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from harden.model.path_pattern import PathPattern

__all__ = ["KNOWN_VARIABLES", "TooWide", "expand", "patterns"]

_MOST_ALTERNATIVES: Final = 256
_MOST_DEPTH: Final = 12
_VARIABLE: Final = re.compile(r"@\{\w+\}")
_PLACEHOLDER: Final = re.compile(r"\*{2,}|\*|\?|\[[^\]]*\]|\\(.)|([^*?\[\]\\]+)|[\[\]\\]", re.DOTALL)
KNOWN_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "@{PROC}": ("/proc/",),
    "@{sys}": ("/sys/",),
    "@{run}": ("/run/", "/var/run/"),
    "@{HOMEDIRS}": ("/home/",),
    "@{HOME}": ("/home/*/", "/root/"),
    "@{multiarch}": ("*-linux-gnu*",),
    "@{pid}": ("*",),
    "@{pids}": ("*",),
    "@{tid}": ("*",),
    "@{uid}": ("*",),
    "@{uids}": ("*",),
}
"""What AppArmor's own tunables set, which profiles include without saying."""


class TooWide(Exception):
    """A glob has no pattern here; the message says why."""


def expand(text: str, variables: Mapping[str, tuple[str, ...]], depth: int = 0) -> list[str]:
    """`text` with its variables and `{a,b}` alternatives written out."""
    if depth > _MOST_DEPTH:
        raise TooWide("its variables or alternatives are nested too deeply")
    variable = _VARIABLE.search(text)
    if variable is not None:
        values = variables.get(variable[0]) or KNOWN_VARIABLES.get(variable[0])
        if values is None:
            raise TooWide(f"{variable[0]} is not set in this file")
        choices = [text[: variable.start()] + value + text[variable.end() :] for value in values]
    else:
        braces = _braces(text)
        if braces is None:
            return [text]
        start, end = braces
        choices = [text[:start] + each + text[end + 1 :] for each in _split(text[start + 1 : end])]
    found = [each for choice in choices for each in expand(choice, variables, depth + 1)]
    if len(found) > _MOST_ALTERNATIVES:
        raise TooWide(f"it stands for more than {_MOST_ALTERNATIVES} patterns")
    return found


def _braces(text: str) -> tuple[int, int] | None:
    """The first `{` and its `}`, both not escaped."""
    depth, start, position = 0, -1, 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 2
            continue
        if char == "{":
            start = position if depth == 0 else start
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                return start, position
        position += 1
    if depth:
        raise TooWide("its braces are not balanced")
    return None


def _split(inner: str) -> Iterator[str]:
    depth, part, position = 0, "", 0
    while position < len(inner):
        char = inner[position]
        if char == "\\":
            part += inner[position : position + 2]
            position += 2
            continue
        if char == "," and depth == 0:
            yield part
            part = ""
        else:
            depth += (char == "{") - (char == "}")
            part += char
        position += 1
    yield part


def patterns(text: str, variables: Mapping[str, tuple[str, ...]]) -> tuple[PathPattern, ...]:
    """The patterns that stand for all that `text` matches; TooWide when there are none."""
    found = []
    for each in expand(text, variables):
        try:
            found.append(PathPattern.parse(_translated(each)))
        except ValueError as error:
            raise TooWide(str(error)) from None
    return tuple(found)


def _translated(text: str) -> str:
    out = ""
    for match in _PLACEHOLDER.finditer(text):
        token = match[0]
        if token.startswith("**"):
            out += "**"
        elif token in ("*", "?") or (token.startswith("[") and token.endswith("]")):
            # One byte of a set is any bytes of a name here, which is wider.
            out += "" if out.endswith("*") else "*"
        else:
            literal = match[1] or match[2] or token
            out += literal.replace("\\", "\\x5c").replace("@", "\\x40").replace("*", "\\x2a")
    out = re.sub(r"/{2,}", "/", re.sub(r"\*{3,}", "**", out))
    # A final slash says that a folder is meant; patterns do not tell folders from files.
    return out.rstrip("/") or "/"
