"""serving-right: a right that the policy leaves to the start of a program is needed while it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    forbidden = case.demand.forbidden_while_serving
    if not forbidden:
        return
    if case.around.serving is None:
        yield Hit(message="what it needs while serving is not known: there is no recording beside it")
        return
    for name in sorted(set(forbidden) & case.around.serving):
        section = Section.CAPABILITY if name.startswith("CAP_") else Section.SYSCALL
        yield Hit(
            message=f"{name} is needed while serving; the policy leaves it to the start",
            subject=name,
            section=section,
            word=name,
        )


CHECK: Final = Check(
    id="serving-right",
    severity=Severity.HIGH,
    title="a right for the start is needed while serving",
    why="A server is attacked while it serves. What only its start needs can be given up then, and cannot be turned "
    "against anybody; what it still needs then can.",
    fix="See in `harden show RECORDING` which program needs it while serving, and do that step before it listens.",
    needs=(Facet.PROFILE,),
    run=_run,
)
