"""YAML text (1.1 and 1.2) from plain values, with comments: every string is double-quoted, so none is taken for more.

Source: yaml.org/spec/1.2.2, "Double-Quoted Style". Keys are the caller's own and have to be plain words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["render_yaml"]

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\"}


def render_yaml(*documents: Mapping[str, Any], comment: str = "") -> str:
    """The documents, each after `---`: strings, integers, booleans, lists and mappings of them."""
    lines = [f"# {line}" for line in comment.splitlines()]
    for document in documents:
        lines += ["---", *_mapping(document, "")]
    return "\n".join(lines) + "\n"


def _mapping(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, each in value.items():
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no plain YAML key")
        yield from _entry(f"{indent}{key}:", each, f"{indent}  ")


def _entry(start: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield start
        yield from _mapping(value, indent)
    elif isinstance(value, (list, tuple)) and value:
        yield start
        for item in value:
            yield from _item(item, indent)
    else:
        yield f"{start} {_scalar(value)}"


def _item(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        lines = list(_mapping(value, f"{indent}  "))
        yield f"{indent}- {lines[0].lstrip()}"
        yield from lines[1:]
    else:
        yield f"{indent}- {_scalar(value)}"


def _scalar(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return f'"{"".join(map(_char, value))}"'
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
        case _:
            raise TypeError(f"YAML has no place for {value!r}")


def _char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    number = ord(char)
    if 0x20 <= number < 0x7F:
        return char
    if 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"{char!r} is no Unicode character")
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
