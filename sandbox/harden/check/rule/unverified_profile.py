"""unverified-profile: nobody has run the program under this profile yet, as far as the files say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    if not case.around.verified and case.demand.verified is not False:
        yield Hit(message="there is no result of a rerun under this profile beside it")


CHECK: Final = Check(
    id="unverified-profile",
    severity=Severity.INFO,
    title="the profile was not verified",
    why="A profile that nobody has run the program under is a guess: it may refuse what the program needs.",
    fix="Run the program under it (`harden run -p PROFILE`) before it is deployed. This version of harden writes no "
    "result of "
    "such a rerun into a file, so every profile is reported; switch the check off, or leave it as the reminder that "
    "it is.",
    needs=(Facet.PROFILE,),
    run=_run,
)
