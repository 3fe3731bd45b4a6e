"""File rights, as the checks about paths look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harden.check.case import Case, Hit
from harden.check.path_overlap import overlap
from harden.check.subject import FileGrant, Section
from harden.model.path_pattern import PathPattern
from harden.model.profile import render_file_rights
from harden.model.recording import FileOperation

__all__ = ["grants_on", "hit", "patterns"]


def patterns(*texts: str) -> tuple[PathPattern, ...]:
    """The patterns; `/folder/**` stands for the folder itself too."""
    folders = (text.removesuffix("/**") for text in texts if text.endswith("/**"))
    return tuple(PathPattern.parse(text) for text in (*texts, *folders))


def grants_on(
    case: Case, guarded: Sequence[PathPattern], operations: frozenset[FileOperation], what: str
) -> Iterator[Hit]:
    """A hit for each right of `operations` on a path that one of `guarded` stands for."""
    for grant in case.subject.files or ():
        found = grant.operations & operations
        meant = next((each for each in guarded if overlap(grant.pattern, each)), None) if found else None
        if meant is not None:
            part = "" if meant.text == grant.text or grant.pattern.is_literal else f", {meant.text} with it,"
            yield hit(grant, f"{part} {what} ({render_file_rights(found)})".lstrip(" "))


def hit(grant: FileGrant, what: str) -> Hit:
    """A hit about one file rule."""
    joint = "" if what.startswith(",") else " "
    return Hit(message=f"{grant.text}{joint}{what}", subject=grant.text, section=Section.FILE, word=grant.text)
