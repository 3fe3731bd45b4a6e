"""What one check is given, and what it gives back: pure values, so that a check is a function."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from harden.check.finding import Location
from harden.check.subject import Facet, Section, Subject
from harden.model.coverage import Coverage
from harden.model.policy import Demand
from harden.model.profile import Profile
from harden.model.severity import Severity

__all__ = ["Case", "Check", "ExportState", "Hit", "Surroundings", "link_of"]

_DOCS: Final = "profiles/policies/README.md"


class ExportState(msgspec.Struct, frozen=True, kw_only=True):
    """An exported file that a policy names, beside the profile."""

    file: str
    format: str
    problem: str = ""
    """What is wrong with it; empty when it is what `harden export` writes now."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found around one profile. None is always: not asked for, or not known."""

    baseline: Profile | None = None
    """The profile to compare with."""
    baseline_name: str = ""
    """Where the baseline was looked for; empty when none was asked for."""
    generated: Profile | None = None
    """NAME.profile.toml alone, without what NAME.local.toml adds."""
    regenerated: Profile | None = None
    """What `harden generate` makes of the recording beside the profile, where there is one."""
    serving: frozenset[str] | None = None
    """System calls and capabilities that were needed while the program served, by the recording beside the profile."""
    coverage: tuple[Coverage, ...] | None = None
    """What the runs of the recording beside the profile say of what was not seen; empty for fewer than two."""
    digest: str | None = None
    """`sha256:…` of the workload's program on this machine."""
    committed: datetime.date | None = None
    """When the profile was last committed; today when it was changed since."""
    age_problem: str = ""
    """Why `committed` is not known, as half a sentence."""
    exports: tuple[ExportState, ...] = ()
    verified: bool = False
    """Whether the result of a `verify` of this very profile was found, and nothing was refused in it."""
    verify_problem: str = ""
    """Why `verified` is false, as half a sentence; empty for no result at all."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One subject under the demands that are made of it."""

    subject: Subject
    demand: Demand = Demand()
    around: Surroundings = Surroundings()
    today: datetime.date


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check found wrong."""

    message: str
    subject: str = ""
    """The rule meant, as the file writes it."""
    section: Section | None = None
    """Where to look for `word`; None for the file as a whole."""
    word: str = ""
    location: Location | None = None
    """The place itself, where it is known already."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check: its texts, and the function that looks."""

    id: str
    severity: Severity
    """What a policy that says nothing gets."""
    title: str
    why: str
    fix: str
    needs: tuple[Facet, ...]
    """Facets without which it stays silent."""
    run: Callable[[Case], Iterable[Hit]]

    @property
    def link(self) -> str:
        """Its page in the docs."""
        return link_of(self.id)


def link_of(id: str) -> str:
    """The section of the docs about one check."""
    return f"{_DOCS}#{id}"
