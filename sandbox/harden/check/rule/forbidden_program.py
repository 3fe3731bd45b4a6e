"""forbidden-program: a program may be executed that is not on the policy's list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import hit
from harden.check.subject import Facet
from harden.model.path_pattern import PathPattern
from harden.model.recording import FileOperation
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    if case.demand.allowed_programs is None:
        return
    allowed = [PathPattern.parse(text) for text in case.demand.allowed_programs]
    own = case.subject.profile.workload.program if case.subject.profile else ""
    for grant in case.subject.files or ():
        if FileOperation.EXEC not in grant.operations or grant.text == own:
            continue
        if not any(pattern.covers(grant.pattern) for pattern in allowed):
            yield hit(grant, "can be executed, and is not on the policy's list")


CHECK: Final = Check(
    id="forbidden-program",
    severity=Severity.HIGH,
    title="a program that is not listed can be executed",
    why="The policy says under `allowed_programs` what may be started beside the workload itself.",
    fix="Have the program do without the helper, or have it put on the list. A dynamic loader counts: "
    "/usr/lib/**/ld-*.so.*.",
    needs=(Facet.FILES,),
    run=_run,
)
