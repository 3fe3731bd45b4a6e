"""weak-control: a control that is demanded by default was switched off or made optional."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.control import DEFAULT_REQUIREMENTS, Requirement
from harden.model.sandbox import UserNamespaceMode
from harden.model.severity import Severity

__all__ = ["CHECK"]

_RANK: Final = {Requirement.OFF: 0, Requirement.PREFERRED: 1, Requirement.REQUIRED: 2}


def _run(case: Case) -> Iterator[Hit]:
    profile = case.subject.profile
    assert profile is not None
    for control, requirement in sorted(profile.controls.items()):
        usual = DEFAULT_REQUIREMENTS.get(control, Requirement.OFF)
        if _RANK[requirement] < _RANK[usual]:
            yield Hit(
                message=f"{control} is {requirement} in this profile, and {usual} by default",
                subject=control,
                section=Section.DEFAULT,
                word=control,
            )
    mode = profile.workload.user_namespace
    if mode is not UserNamespaceMode.SHIFTED:
        yield Hit(
            message=f"it was recorded with --userns={mode}: uid 0 inside is then uid 0 of the host",
            subject="user_namespace",
            section=Section.WORKLOAD,
            word="user_namespace",
        )


CHECK: Final = Check(
    id="weak-control",
    severity=Severity.HIGH,
    title="a control is weaker than by default",
    why="A control that is off holds nothing; one that is only preferred is not there on the host where it would "
    "have mattered.",
    fix="Remove the line from [controls] of NAME.local.toml, or waive it for the hosts that cannot enforce it.",
    needs=(Facet.PROFILE,),
    run=_run,
)
