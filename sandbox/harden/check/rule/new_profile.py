"""new-profile: the baseline has no such profile, so nothing can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    if case.around.baseline_name and case.around.baseline is None:
        yield Hit(message=f"{case.around.baseline_name} does not have it: all that it grants is new")


CHECK: Final = Check(
    id="new-profile",
    severity=Severity.LOW,
    title="the profile is not in the baseline",
    why="A new or renamed profile escapes the comparison: all of its rights are new, and nobody has agreed to them "
    "yet.",
    fix="Read it, then take it into the baseline (`--update-baseline`, or merge it), or waive this for the one change.",
    needs=(Facet.PROFILE,),
    run=_run,
)
