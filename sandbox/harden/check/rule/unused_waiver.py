"""unused-waiver: a waiver that nothing needs. The engine reports it, for it knows what was waived."""

from __future__ import annotations

from typing import Final

from harden.check.case import Check
from harden.model.severity import Severity

__all__ = ["CHECK"]


CHECK: Final = Check(
    id="unused-waiver",
    severity=Severity.LOW,
    title="a waiver is not needed",
    why="A waiver that matches nothing waits for a finding that nobody has seen yet, and will hide it.",
    fix="Remove it. If it should match, compare its globs with the profile and the subject that the report prints.",
    needs=(),
    run=lambda _: (),
)
