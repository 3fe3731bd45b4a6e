"""broad-capability: a capability that gives far more than one operation needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.capability import Capability
from harden.model.risk import capability_risk
from harden.model.severity import Severity

__all__ = ["CHECK"]

_BROAD_WEIGHT: Final = 7


def _run(case: Case) -> Iterator[Hit]:
    for capability in sorted(case.subject.capabilities or ()):
        risk = capability_risk(capability.name)
        if risk.weight >= _BROAD_WEIGHT and capability is not Capability.CAP_SYS_ADMIN:
            yield Hit(
                message=f"{capability.name} is granted: it {risk.why}",
                subject=capability.name,
                section=Section.CAPABILITY,
                word=capability.name,
            )


CHECK: Final = Check(
    id="broad-capability",
    severity=Severity.HIGH,
    title="a broad capability is granted",
    why="Some capabilities are a short way from full control of the machine or of everybody's files, whatever they "
    "were meant "
    "for.",
    fix="Give the files the right owner, use a narrower capability, or do that one step before the program starts.",
    needs=(Facet.CAPABILITIES,),
    run=_run,
)
