"""growth: the profile allows what its baseline did not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.growth import section_of
from harden.check.subject import Facet
from harden.model.diff import added_rights
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    if case.around.baseline is None:
        return
    for change in added_rights(case.around.baseline, case.subject.profile):
        yield Hit(
            message=f"{change.right} is new since {case.around.baseline_name} (risk {change.weight} of 10: "
            f"{change.why})",
            subject=change.right,
            section=section_of(change),
            word=change.rule,
        )


CHECK: Final = Check(
    id="growth",
    severity=Severity.HIGH,
    title="the profile has grown",
    why="A change that makes a program more powerful should be seen and agreed to, not slip in with a new version.",
    fix="Find out what asks for it (`harden show` on the recording). If it is wanted, waive it until it is in the "
    "baseline.",
    needs=(Facet.PROFILE,),
    run=_run,
)
