"""program-changed: the program on this machine is not the one that was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    workload = case.subject.profile.workload
    if case.around.digest is not None and workload.digest and case.around.digest != workload.digest:
        yield Hit(
            message=f"{workload.program} is {_short(case.around.digest)} here, and was {_short(workload.digest)} "
            f"when recorded",
            subject=workload.program,
            section=Section.WORKLOAD,
            word="digest",
        )


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12] + "…"


CHECK: Final = Check(
    id="program-changed",
    severity=Severity.LOW,
    title="the program is no longer the one that was recorded",
    why="Another version of a program makes other calls: the profile may refuse what it needs, and grants what it "
    "needs no more.",
    fix="Record the new version (`harden trace` with the same scenario) and commit its profile.",
    needs=(Facet.PROFILE,),
    run=_run,
)
