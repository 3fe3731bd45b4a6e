"""The files that `harden run` writes about a run, each in a folder that is held open from the first look at it on."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from harden.end_report_file import begin_report, report_refusal
from harden.errors import KernelError, UsageError
from harden.way import Way, hold_folder, way_to

__all__ = ["Place", "Results"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file is to be: a name in an open folder, and the way there."""

    given: Path
    folder: int
    name: bytes
    way: Way

    @classmethod
    def hold(cls, path: Path) -> Place:
        """Raises KernelError where the folder of `path` cannot be reached."""
        name = os.fsencode(path.name) or b"."
        try:
            way = way_to(path.parent)
            folder = hold_folder(way)
        except (OSError, KernelError) as error:
            raise _not_opened(path, error.errno) from None
        return cls(given=path, folder=folder, name=name, way=way.to_file(name))


class Results:
    """A context manager: what ends it by an exception is what the report says, if one has been begun.

    Nothing that a program made may choose which files of the host are written. A file that no symbolic link leads to is
    where its name says, and is begun at once, so that it never tells of another run; one behind a link only by `begin`.
    """

    def __init__(self, *, report: Path | None, enforced_json: Path | None, dry: bool = False) -> None:
        """`dry`: nothing is begun."""
        self._asked = report, enforced_json
        self._dry = dry
        self._report: Place | None = None
        self._enforced_json: Place | None = None
        self._is_report_begun = False
        self.enforced: int | None = None
        """A descriptor of the file that gets what is in force, when it is begun."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._report is not None and self._is_report_begun:
            report_refusal(self._report.given, self._report.folder, error)

    def hold(self) -> None:
        """Look where the files will be, and begin those that no link leads to.

        Raises UsageError for one file that is to be both, or for a report in place of something else, KernelError.
        """
        report, enforced_json = self._asked
        if report and enforced_json and os.path.realpath(report) == os.path.realpath(enforced_json):
            raise UsageError(f"--report and --enforced-json are both {report}", hint="give them two names")
        if report:
            self._report = Place.hold(report)
            self._begin_report(linked=False)
        if enforced_json:
            self._enforced_json = Place.hold(enforced_json)
            self._begin_enforced(linked=False)

    def begin(self) -> None:
        """Begin the others too, because the program made no link that leads to them. Raises as hold() does."""
        self._begin_report(linked=True)
        self._begin_enforced(linked=True)

    def _begin_report(self, *, linked: bool) -> None:
        if self._report is not None and not self._dry and bool(self._report.way.links) is linked:
            begin_report(self._report.given, self._report.folder)
            self._is_report_begun = True

    def _begin_enforced(self, *, linked: bool) -> None:
        place = self._enforced_json
        if place is None or self._dry or bool(place.way.links) is not linked:
            return
        # A FIFO that nobody reads is refused, not waited for.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self.enforced = os.open(place.name, flags, 0o644, dir_fd=place.folder)
        except OSError as error:
            raise _not_opened(place.given, error.errno) from None

    @property
    def report(self) -> tuple[int, bytes] | None:
        """The open folder of the report, and its name there."""
        return None if self._report is None else (self._report.folder, self._report.name)

    @property
    def ways(self) -> tuple[Way, ...]:
        """How each of the files is reached."""
        return tuple(place.way for place in (self._report, self._enforced_json) if place is not None)


def _not_opened(path: Path, errno: int | None) -> KernelError:
    call = f"open({str(path)!r}, O_WRONLY|O_CREAT|O_TRUNC|O_NOFOLLOW|O_NONBLOCK, 0644)"
    return KernelError(
        call, errno or 0, hint="name a file, not a link or a FIFO that nobody reads, in a folder that you can write to"
    )
