"""too-few-runs: the profile comes from fewer runs than the policy demands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    runs, least = len(case.subject.profile.generated.runs), case.demand.min_runs
    if least is not None and runs < least:
        yield Hit(
            message=f"it was generated from {runs} run(s); the policy demands {least}",
            section=Section.GENERATED,
            word="runs",
        )


CHECK: Final = Check(
    id="too-few-runs",
    severity=Severity.MEDIUM,
    title="too few recorded runs",
    why="One run shows one path through a program; what the others need is refused later. Runs are the measure of "
    "coverage "
    "that a profile carries.",
    fix="Trace the program again with other inputs: a second `harden trace` of the same name adds to the recording.",
    needs=(Facet.PROFILE,),
    run=_run,
)
