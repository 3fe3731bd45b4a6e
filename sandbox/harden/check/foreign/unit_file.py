"""The lines of a systemd unit (systemd.syntax(7)): sections, assignments, continued lines, comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from harden.check.finding import Location
from harden.check.foreign.source import Source
from harden.errors import DocumentError

__all__ = ["Assignment", "Unit", "parse_unit"]

_MOST_LINES: Final = 100_000
_LINE_END: Final = re.compile(r"(\r\n|\r|\n)")
_QUOTING: Final = re.compile(r"[\"'\\]")
_SECTION: Final = re.compile(r"\[([^\[\]]+)\]\s*")
_KEY: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*=\s*")
_TRUE: Final = frozenset({"1", "yes", "y", "true", "t", "on"})
_FALSE: Final = frozenset({"0", "no", "n", "false", "f", "off"})


class Assignment(msgspec.Struct, frozen=True):
    """`key = value` in a section, its continued lines joined by a space."""

    section: str
    key: str
    value: str
    location: Location

    def words(self) -> tuple[str, ...]:
        """The value, split at white space, without quotes around a word."""
        return tuple(word.strip("\"'") for word in self.value.split())

    @property
    def is_inverted(self) -> bool:
        """Whether the list begins with ~, which turns its meaning around."""
        return self.value.startswith("~")

    def names(self) -> tuple[str, ...]:
        """The names of a list, without the ~; DocumentError for quotes, which change where a name ends."""
        if _QUOTING.search(self.value):
            raise DocumentError(str(self.location), f"{self.key}: write the names without quotes and backslashes")
        return tuple(self.value.removeprefix("~").split())


class Unit:
    """The assignments of one unit that decide about the processes it starts."""

    def __init__(self, file: str, assignments: tuple[Assignment, ...]) -> None:
        self.file = file
        self.assignments = tuple(each for each in assignments if each.section in _WITH_PROCESSES)

    def all(self, key: str) -> tuple[Assignment, ...]:
        """Every assignment to a list setting, from the last empty one on, which resets it."""
        found = [each for each in self.assignments if each.key == key]
        resets = [index for index, each in enumerate(found) if not each.value]
        return tuple(found[resets[-1] + 1 :] if resets else found)

    def last(self, key: str) -> Assignment | None:
        """The last assignment to a setting, the one that counts; None when there is none or it is empty."""
        found = [each for each in self.assignments if each.key == key]
        return found[-1] if found and found[-1].value else None

    def switch(self, key: str) -> bool:
        """A yes-or-no setting, no when it is not given; DocumentError for any other word."""
        found = self.last(key)
        if found is None or found.value.lower() in _FALSE:
            return False
        if found.value.lower() in _TRUE:
            return True
        raise DocumentError(str(found.location), f"{key} is {found.value!r}; write yes or no")


_WITH_PROCESSES: Final = frozenset({"Service", "Socket", "Mount", "Swap"})


def parse_unit(source: Source) -> Unit:
    """The unit in `source`; DocumentError for a line that is no assignment, section or comment."""
    section = ""
    found: list[Assignment] = []
    for offset, line in _logical_lines(source):
        header = _SECTION.fullmatch(line)
        if header is not None:
            section = header[1]
            continue
        key = _KEY.match(line)
        if key is None:
            raise source.problem(offset, f"{line[:40]!r} is no `Key=value`")
        if not section:
            raise source.problem(offset, f"{key[1]}= stands before the first section")
        found.append(Assignment(section, key[1], line[key.end() :].strip(), source.location(offset)))
    return Unit(source.file, tuple(found))


def _logical_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Offset and text of every line that says something; a backslash at the end continues a line."""
    position, start = 0, 0
    parts: list[str] = []
    # Lines end where systemd ends them: str.splitlines knows separators that would hide the end of a comment.
    lines = _LINE_END.split(source.text)
    if len(lines) > 2 * _MOST_LINES:
        raise DocumentError(source.file, f"has more than {_MOST_LINES} lines")
    for text, end in zip(lines[::2], [*lines[1::2], ""], strict=True):
        offset, position = position, position + len(text) + len(end)
        stripped = text.strip()
        if stripped.startswith(("#", ";")) or (not stripped and not parts):
            # A comment inside a continued line does not end it.
            continue
        if not parts:
            start = offset + len(text) - len(text.lstrip())
        if text.endswith("\\"):
            parts.append(text[:-1].strip())
            continue
        parts.append(stripped)
        yield start, " ".join(parts).strip()
        parts = []
    if parts:
        yield start, " ".join(parts).strip()
