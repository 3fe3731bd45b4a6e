"""JSON with places: the parsed value, and the line and column of every key and string in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harden.check.finding import Location
from harden.check.foreign.source import Source
from harden.check.subject import NotChecked
from harden.errors import DocumentError

__all__ = ["JsonSource", "Path"]

Path = tuple[str | int, ...]
"""Keys and indexes from the top of the document."""

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, so that a repeated key is seen."""


class JsonSource:
    """One JSON document; DocumentError with line and column for bad syntax, repeated keys and too deep nesting."""

    def __init__(self, data: bytes, file: str) -> None:
        self._source = Source(data, file)
        self.file = file
        try:
            raw = json.loads(self._source.text, object_pairs_hook=_Pairs, parse_constant=_no_constant)
            self._places: dict[Path, int] = {}
            self.value: Any = self._place((), raw, _offsets(self._source.text))
        except json.JSONDecodeError as error:
            raise self._source.problem(min(error.pos, len(self._source.text)), f"not JSON: {error.msg}") from None
        except RecursionError:
            raise DocumentError(file, "objects are nested too deeply") from None
        except _Constant as error:
            raise DocumentError(file, f"not JSON: {error} is no JSON number") from None
        except ValueError:
            raise DocumentError(file, "not JSON: a number has too many digits") from None

    def location(self, path: Path) -> Location:
        """Where the value at `path` stands: its key or string, else that of the nearest value around it."""
        while path and path not in self._places:
            path = path[:-1]
        return self._source.location(self._places.get(path, 0))

    def problem(self, path: Path, problem: str, *, hint: str | None = None) -> DocumentError:
        """The error to raise for the value at `path`."""
        return DocumentError(str(self.location(path)), f"{_shown(path)} {problem}", hint=hint)

    def not_checked(self, path: Path, text: str) -> NotChecked:
        """A note that the value at `path` was passed over."""
        return NotChecked(location=self.location(path), text=text)

    def object_at(self, path: Path, value: Any) -> Mapping[str, Any]:
        """`value` as an object; DocumentError when it is none."""
        if not isinstance(value, dict):
            raise self.problem(path, "must be an object")
        return value

    def list_at(self, path: Path, value: Any) -> Sequence[Any]:
        """`value` as a list, empty for null; DocumentError when it is none."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.problem(path, "must be a list")
        return value

    def text_at(self, path: Path, value: Any) -> str:
        """`value` as text; DocumentError when it is none."""
        if not isinstance(value, str):
            raise self.problem(path, "must be text")
        return value

    def number_at(self, path: Path, value: Any, largest: int) -> int:
        """`value` as a whole number from 0 to `largest`; DocumentError when it is none."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
            raise self.problem(path, f"must be a whole number from 0 to {largest:#x}")
        return value

    def _place(self, path: Path, value: Any, offsets: Iterator[int]) -> Any:
        # Strings come out of the parser in the order in which they stand in the text.
        if isinstance(value, _Pairs):
            out: dict[str, Any] = {}
            for key, each in value:
                offset = next(offsets)
                if key in out:
                    raise self._source.problem(offset, f"key {key!r} appears twice in one object")
                self._places[*path, key] = offset
                out[key] = self._place((*path, key), each, offsets)
            return out
        if isinstance(value, list):
            return [self._place((*path, index), each, offsets) for index, each in enumerate(value)]
        if isinstance(value, str):
            offset = next(offsets)
            # A value beside its key is found by the key; an element of a list has only itself.
            self._places.setdefault(path, offset)
        return value


def _offsets(text: str) -> Iterator[int]:
    return (match.start() for match in _STRING.finditer(text))


class _Constant(Exception):
    pass


def _no_constant(name: str) -> Any:
    raise _Constant(name)


def _shown(path: Path) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
