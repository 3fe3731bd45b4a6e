"""What a check says: findings, improvements, and the report that every output prints."""

from __future__ import annotations

import msgspec

from harden.model.severity import Severity

__all__ = ["Checked", "Finding", "Improvement", "Location", "Note", "Report", "Severity", "Waived"]


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """A place in a text file; `line` and `column` count from 1, 0 means that the format has none."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One broken demand."""

    id: str
    """The check's stable name, kebab-case; policies and waivers use it."""
    severity: Severity
    title: str
    """What is wrong, a few words, the same for every finding of this id."""
    why: str
    """Why it matters, the same for every finding of this id."""
    fix: str
    """What to do about it, the same for every finding of this id."""
    message: str
    """What was found here: one sentence that a developer understands."""
    subject: str
    """The rule meant, as the file writes it: `ptrace`, `CAP_SYS_ADMIN`, `/etc/shadow`; empty for the whole file."""
    profile: str
    """The name of what was checked (`Subject.name`); empty for a finding about the policy itself."""
    location: Location
    link: str
    """The page that explains this id."""


class Waived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that a policy accepts for a while."""

    finding: Finding
    reason: str
    until: str
    """The last day it is accepted, YYYY-MM-DD."""


class Improvement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A right that the baseline had and the profile has no more."""

    profile: str
    message: str
    subject: str
    weight: int
    """How much risk went away, on the scale of `harden.model.diff`."""


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was checked."""

    name: str
    file: str
    kind: str
    """A `SubjectKind`."""


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to show beside the findings that is no demand, such as the known-attack view."""

    profile: str
    title: str
    """One sentence, such as "refuses the entry requirement of 12 of 20 known kernel attacks"."""
    lines: tuple[str, ...] = ()
    """The details, a sentence each."""


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one `harden check` found, in an order that depends on nothing but the input."""

    policy: str
    fail_on: Severity
    checked: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    """Worst first, then by profile, location, id and subject."""
    waived: tuple[Waived, ...] = ()
    improvements: tuple[Improvement, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The findings at or above `fail_on`."""
        return tuple(finding for finding in self.findings if finding.severity.rank >= self.fail_on.rank)

    @property
    def exit_status(self) -> int:
        """0 when nothing fails, else 1."""
        return 1 if self.failing else 0
