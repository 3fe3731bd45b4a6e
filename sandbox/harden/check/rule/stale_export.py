"""stale-export: an exported file is missing or no longer what the profile says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.finding import Location
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    for state in case.around.exports:
        if state.problem:
            yield Hit(
                message=f"{state.file} ({state.format}): {state.problem}",
                subject=state.file,
                location=Location(file=state.file, line=1, column=1),
            )


CHECK: Final = Check(
    id="stale-export",
    severity=Severity.HIGH,
    title="an exported file does not match the profile",
    why="What is deployed is the exported file. When it lags behind, what was reviewed is not what holds the program.",
    fix="Export again: `harden export PROFILE --format FORMAT -o FILE`.",
    needs=(Facet.PROFILE,),
    run=_run,
)
