"""missing-limit: the policy wants a resource limited, and the profile leaves it open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    limits = case.subject.profile.limits()
    for name in sorted({*case.demand.required_limits, *case.demand.max_limits}):
        if name not in limits:
            yield Hit(
                message=f"{name} is not limited; the policy wants it to be",
                subject=name,
                section=Section.LIMIT,
                word=name,
            )


CHECK: Final = Check(
    id="missing-limit",
    severity=Severity.MEDIUM,
    title="a demanded limit is missing",
    why="The policy lists it under `required_limits` or `max_limits`: without a limit, one program takes what all "
    "others of the host need.",
    fix="Record the program again with this version, so that every run tells its peak; or write the limit under "
    "`[add.limits]` of NAME.local.toml.",
    needs=(Facet.PROFILE,),
    run=_run,
)
