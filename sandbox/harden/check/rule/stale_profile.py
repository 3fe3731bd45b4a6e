"""stale-profile: the profile is older than the policy allows, or than the recording beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    generated = case.subject.profile.generated
    if case.around.regenerated is not None:
        missing = sorted(set(case.around.regenerated.generated.runs) - set(generated.runs))
        if missing:
            yield Hit(
                message=f"the recording beside it holds {len(missing)} run(s) that it was not generated from: "
                f"{missing[0]}",
                section=Section.GENERATED,
                word="runs",
            )
    most = case.demand.max_age_days
    if most is None:
        return
    if case.around.committed is None:
        why = case.around.age_problem or "nothing says when it was committed"
        yield Hit(message=f"its age is not known: {why}; the policy allows {most} days")
    elif (case.today - case.around.committed).days > most:
        age = (case.today - case.around.committed).days
        yield Hit(
            message=f"it was last committed {age} days ago, on {case.around.committed}; the policy allows {most} days"
        )


CHECK: Final = Check(
    id="stale-profile",
    severity=Severity.MEDIUM,
    title="the profile is out of date",
    why="Programs, libraries and kernels move on; an old profile refuses what is needed now and grants what was "
    "needed once.",
    fix="Record and generate again (`harden trace`, `harden generate`), read the difference, and commit it.",
    needs=(Facet.PROFILE,),
    run=_run,
)
