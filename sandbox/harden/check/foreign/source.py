"""A foreign file's text with its places: offsets to lines and columns, problems that name them, found words."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from harden.check.finding import Location
from harden.check.subject import NotChecked, Section
from harden.errors import DocumentError

__all__ = ["LARGEST_FILE", "Source", "WordLocator", "check_size"]

LARGEST_FILE: Final = 4 * 1024 * 1024
"""Bytes: a foreign file beyond this is refused before it is parsed."""


class WordLocator:
    """A `Locator` over places that a reader noted; the first place noted for a word is the one that is shown."""

    def __init__(self, file: str, *, has_lines: bool = True) -> None:
        self._whole = Location(file=file, line=1 if has_lines else 0, column=1 if has_lines else 0)
        self._places: dict[tuple[Section, str], Location] = {}

    def note(self, section: Section, word: str, location: Location) -> None:
        """Remember where `word` stands in `section`."""
        self._places.setdefault((section, word), location)

    def find(self, section: Section, word: str = "") -> Location:
        """The noted place of `word`, else of its section, else the start of the file."""
        return self._places.get((section, word)) or self._places.get((section, "")) or self._whole


class Source:
    """The text of one foreign file; DocumentError when it is too large or no UTF-8."""

    def __init__(self, data: bytes, file: str) -> None:
        check_size(data, file)
        self.file = file
        try:
            self.text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            raise DocumentError(f"{file}:{line}:{column}", "not UTF-8") from None
        self._lines = [0, *(index + 1 for index, char in enumerate(self.text) if char == "\n")]

    def location(self, offset: int) -> Location:
        """Line and column of the character at `offset`."""
        line = bisect_right(self._lines, offset)
        return Location(file=self.file, line=line, column=offset - self._lines[line - 1] + 1)

    def problem(self, offset: int, problem: str, *, hint: str | None = None) -> DocumentError:
        """The error to raise for what stands at `offset`."""
        return DocumentError(str(self.location(offset)), problem, hint=hint)

    def not_checked(self, offset: int, text: str) -> NotChecked:
        """A note that what stands at `offset` was passed over."""
        return NotChecked(location=self.location(offset), text=text)


def check_size(data: bytes, file: str) -> None:
    """DocumentError for a file larger than `LARGEST_FILE`."""
    if len(data) > LARGEST_FILE:
        raise DocumentError(
            file, f"has {len(data)} bytes; at most {LARGEST_FILE} are read", hint="check the files one by one"
        )
