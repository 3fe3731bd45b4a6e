"""missing-control: the policy demands a control, a resource limit for example, that the profile does not ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.control import DEFAULT_REQUIREMENTS, Requirement
from harden.model.resource_limit import LIMIT_CONTROLS
from harden.model.severity import Severity

__all__ = ["CHECK"]

_RANK: Final = {Requirement.OFF: 0, Requirement.PREFERRED: 1, Requirement.REQUIRED: 2}


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    limited = {LIMIT_CONTROLS[name] for name in case.subject.profile.limits()}
    preferred = dict.fromkeys(limited, Requirement.PREFERRED)
    have = {**DEFAULT_REQUIREMENTS, **preferred, **case.subject.profile.controls}
    for control, wanted in sorted(case.demand.controls.items()):
        found = have.get(control, Requirement.OFF)
        if _RANK[found] < _RANK[wanted]:
            yield Hit(
                message=f"{control} is {found}; the policy demands {wanted}",
                subject=control,
                section=Section.DEFAULT,
                word=control,
            )


CHECK: Final = Check(
    id="missing-control",
    severity=Severity.HIGH,
    title="a demanded control is missing",
    why="The policy lists under `controls` what must hold every program, resource limits such as memory and pids "
    "included.",
    fix='Write `NAME = "required"` into [controls] of NAME.local.toml.',
    needs=(Facet.PROFILE,),
    run=_run,
)
