"""not-checked: a foreign file says something that its reader does not understand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    for each in case.subject.not_checked:
        yield Hit(message=each.text, location=each.location)


CHECK: Final = Check(
    id="not-checked",
    severity=Severity.MEDIUM,
    title="part of the file was not checked",
    why="A rule that no check has seen may grant anything: the other findings say nothing about it.",
    fix="Check what the line refers to by itself, write it in a form that is understood, or waive it with a reason.",
    needs=(),
    run=_run,
)
