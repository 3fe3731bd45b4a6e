"""Places in TOML text: `tomllib` gives values without lines, so the text is scanned for the line of a rule."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from harden.check.finding import Location
from harden.check.subject import Section

__all__ = ["ProfileLocator", "TomlSource", "place_in_message"]

_HEADER: Final = re.compile(r"\s*\[{1,2}([^\[\]\n]*(?:\"[^\"\n]*\"[^\[\]\n]*)*)\]{1,2}\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*((?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_.-]|\s*\.\s*)+)\s*=""")
_PLACE: Final = re.compile(r" ?\(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]+|\.\.\.)\]")


class TomlSource:
    """The text of one TOML file, and where things are in it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text

    @cached_property
    def _lines(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """Every line with the names of the table it is in, and of its key."""
        found = []
        table: tuple[str, ...] = ()
        for line in self.text.split("\n"):
            header = _HEADER.match(line)
            key = None if header else _KEY.match(line)
            if header:
                table = _names(header[1])
            found.append(((*table, *(_names(key[1]) if key else ())), line))
        return tuple(found)

    def whole(self) -> Location:
        """The file itself."""
        return Location(file=self.file, line=1, column=1)

    def word(self, text: str, *, inside: Sequence[str] = ()) -> Location | None:
        """The first line with `text` as a string or a name, in a table that has all names of `inside`."""
        quoted = (json.dumps(text, ensure_ascii=False), f"'{text}'")
        current: tuple[str, ...] = ()
        for number, (names, line) in enumerate(self._lines, start=1):
            if names and (_KEY.match(line) or _HEADER.match(line)):
                current = names
            if not set(inside) <= set(current):
                continue
            for each in quoted:
                if each in line and not line.lstrip().startswith("#"):
                    return Location(file=self.file, line=number, column=line.index(each) + 1)
            if text in names and (_KEY.match(line) or _HEADER.match(line)):
                return Location(file=self.file, line=number, column=max(line.find(text), 0) + 1)
        return None

    def item(self, table: str, index: int) -> Location:
        """The header of the `index`-th (from 0) `[[table]]`."""
        seen = -1
        for number, (_, line) in enumerate(self._lines, start=1):
            header = _HEADER.match(line)
            if header and line.lstrip().startswith("[[") and _names(header[1]) == (table,):
                seen += 1
                if seen == index:
                    return Location(file=self.file, line=number, column=1)
        return self.whole()

    def path(self, where: str | None) -> Location:
        """The line of a place as `DocumentError.where` writes it, such as `$.rights.syscalls`, or near it."""
        steps = [name or index for name, index in _STEP.findall(where or "")]
        names = [step for step in steps if not step.isdecimal() and step != "..."]
        if len(steps) > 1 and steps[1].isdecimal() and self.item(steps[0], int(steps[1])).line > 1:
            return self.item(steps[0], int(steps[1]))
        for length in range(len(names), 0, -1):
            for number, (have, line) in enumerate(self._lines, start=1):
                if have[:length] == tuple(names[:length]) and (_KEY.match(line) or _HEADER.match(line)):
                    return Location(file=self.file, line=number, column=len(line) - len(line.lstrip()) + 1)
        return self.whole()


def place_in_message(problem: str) -> tuple[str, int, int] | None:
    """The sentence, line and column of a `tomllib` message that names its place; None for one that does not."""
    match = _PLACE.search(problem)
    if match is None:
        return None
    return problem[: match.start()], int(match[1] or 0), int(match[2] or 0)


def _names(text: str) -> tuple[str, ...]:
    """The parts of a dotted key."""
    try:
        value: object = tomllib.loads(f"{text} = 0")
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    names = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        names.append(str(name))
    return tuple(names)


class ProfileLocator:
    """The place of a right of a merged profile: in NAME.profile.toml, else in NAME.local.toml."""

    def __init__(self, profile: TomlSource, local: TomlSource | None = None) -> None:
        self._profile = profile
        self._places = ((profile, "rights"),) if local is None else ((profile, "rights"), (local, "add"))

    def find(self, section: Section, word: str = "") -> Location:
        """Where `word` stands in `section`; the section itself when `word` is empty, the whole file if all fails."""
        if section in (Section.GENERATED, Section.WORKLOAD):
            found = self._profile.word(word or section.value, inside=(section.value,))
            return found or self._profile.path(f"$.{section.value}")
        if section is Section.DEFAULT:
            controls = (source.word(word, inside=("controls",)) for source, _ in self._places if word)
            return next((place for place in controls if place), self._profile.path("$.rights"))
        for source, root in self._places:
            found = source.word(word or section.value, inside=(root, section.value))
            if found is not None:
                return found
        return self._profile.path(f"$.rights.{section.value}")
