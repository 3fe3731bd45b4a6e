"""expired-waiver: a waiver's last day is past. The engine reports it, for it knows the policy."""

from __future__ import annotations

from typing import Final

from harden.check.case import Check
from harden.model.severity import Severity

__all__ = ["CHECK"]


CHECK: Final = Check(
    id="expired-waiver",
    severity=Severity.MEDIUM,
    title="a waiver has expired",
    why="A waiver is a promise to come back. What it accepted counts again as a finding from the day after.",
    fix="Solve what was waived and remove the waiver, or agree on a new date and say why.",
    needs=(),
    run=lambda _: (),
)
