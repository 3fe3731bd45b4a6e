"""TOML text (v1.0) from plain values, with comments. `tomllib` reads it back to the same values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["comment", "render_toml", "toml_key", "toml_value"]

Place = tuple[str, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WIDTH: Final = 100


def render_toml(document: Mapping[str, Any], comments: Mapping[Place, str]) -> str:
    """The text of `document`: strings, integers, floats, booleans, lists and tables.

    `comments` are by place: that of an entry of a list is the list's place and the entry's words.
    """
    return "\n".join(_table(document, (), comments)).lstrip("\n") + "\n"


def comment(text: str) -> str:
    """`text` as what may follow `#`: TOML forbids control characters there, and a line must stay a line."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _table(table: Mapping[str, Any], place: Place, comments: Mapping[Place, str]) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not _is_table(value)}
    if place and (plain or not table):
        yield from ("", f"[{'.'.join(map(toml_key, place))}]")
    for key, value in plain.items():
        yield from _entry(toml_key(key), value, (*place, key), comments)
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*place, key), comments)
        elif _is_table(value):
            for item in value:
                yield from ("", f"[[{'.'.join(map(toml_key, (*place, key)))}]]")
                for name, inner in item.items():
                    yield from _entry(toml_key(name), inner, (*place, key, name), comments)


def _is_table(value: object) -> bool:
    is_list = isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping) or is_list


def _entry(key: str, value: object, place: Place, comments: Mapping[Place, str]) -> Iterator[str]:
    if isinstance(value, (list, tuple)):
        said = [comments.get((*place, *_words(item)), "") for item in value]
        line = f"{key} = {toml_value(value)}"
        if len(line) <= _WIDTH and not any(said):
            yield line
            return
        yield f"{key} = ["
        for item, text in zip(value, said, strict=True):
            yield _commented(f"  {toml_value(item)},", text)
        yield "]"
        return
    yield _commented(f"{key} = {toml_value(value)}", comments.get(place, ""))


def _commented(line: str, text: str) -> str:
    return f"{line}  # {comment(text)}" if text else line


def _words(item: object) -> Place:
    return tuple(map(str, item)) if isinstance(item, (list, tuple)) else (str(item),)


def toml_key(key: str) -> str:
    """A key, quoted where it must be."""
    return key if _BARE.fullmatch(key) else _string(key)


def toml_value(value: object) -> str:
    """A string, number, boolean or list on one line; TypeError for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _string(value)
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            raise TypeError(f"TOML has no place for {value!r}")


def _string(text: str) -> str:
    return f'"{"".join(map(_char, text))}"'


def _char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return f"\\u{ord(char):04x}" if ord(char) < 0x20 or ord(char) == 0x7F else char
