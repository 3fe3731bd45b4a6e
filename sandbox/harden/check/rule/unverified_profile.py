"""unverified-profile: nobody has run the program under this profile as it is now, as far as the files say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    if not case.around.verified and case.demand.verified is not False:
        problem = case.around.verify_problem or "there is no result of a rerun under this profile beside it"
        yield Hit(message=problem)


CHECK: Final = Check(
    id="unverified-profile",
    severity=Severity.INFO,
    title="the profile was not verified",
    why="A profile that nobody has run the program under is a guess: it may refuse what the program needs.",
    fix="Run `harden verify -p PROFILE` and commit the NAME.verified.json that it writes; add what was refused with "
    "`harden refine`. The result is for exactly this profile and its NAME.local.toml: verify again after a change. It "
    "is a note by whoever committed it, not a proof to somebody who does not trust them.",
    needs=(Facet.PROFILE,),
    run=_run,
)
