"""How a rerun's result is printed: what was refused, by what, and the rule that would allow it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from harden.cli import output
from harden.model.denial import Denial, Verdict, Verification
from harden.render.local_toml import render_rights

__all__ = ["STATUS", "facts", "show_verification"]

STATUS: Final = {Verdict.CLEAN: 0, Verdict.DENIED: 1, Verdict.PARTIAL: 3, Verdict.UNKNOWN: 125}
"""Exit statuses of `verify` and `refine`."""
_LISTED: Final = 4


def facts(verification: Verification) -> dict[str, Any]:
    """The whole value for `--json`, each denial with its rule as text."""
    found: dict[str, Any] = msgspec.to_builtins(verification)
    for entry, denial in zip(found["denials"], verification.denials, strict=True):
        entry.pop("add", None)
        entry["rule"] = list(render_rights("add", denial.add))
    return {**found, "verdict": verification.verdict}


def show_verification(verification: Verification) -> None:
    """Print it for a person."""
    for denial in verification.denials:
        output.line(_denial_text(denial))
        for rule in render_rights("add", denial.add):
            output.line(f"  allow: {rule}")
        if denial.advice:
            output.line(f"  {denial.advice}")
    if verification.failure:
        output.line(verification.failure)
    output.line(_summary(verification))
    for text in verification.not_enforced:
        output.line(f"  not wholly in force: {text}")
    for text in verification.lost:
        output.line(f"  {text}")


def _denial_text(denial: Denial) -> str:
    paths = ", ".join(denial.paths[:_LISTED]) + (
        f" and {len(denial.paths) - _LISTED} more" if len(denial.paths) > _LISTED else ""
    )
    arguments = f"({', '.join(denial.arguments)})" if denial.arguments else ""
    call = f"{denial.arch} {denial.call}" if denial.arch else denial.call
    words = [call + arguments, denial.capability, denial.network, paths]
    seen = {True: "; a recorded run did it", False: "; no recorded run did it", None: ""}[denial.recorded]
    what = " ".join(word for word in words if word)
    return f"{denial.control or 'kernel'}: {what}: {denial.result} ×{denial.count} in {denial.executable}{seen}"


def _summary(verification: Verification) -> str:
    name, number = verification.profile, len(verification.denials)
    if number:
        return f"{name}: {number} denial{'s' if number > 1 else ''}; {verification.enforced}"
    said = {
        Verdict.CLEAN: "nothing was refused",
        Verdict.PARTIAL: "nothing was refused",
        Verdict.DENIED: "nothing was seen to be refused, and yet the program fails under it",
        Verdict.UNKNOWN: "nothing was seen to be refused, but the recorder did not see everything",
    }
    return f"{name}: {said[verification.verdict]}; {verification.enforced}"
