"""incomplete-recording: the profile comes from a recording that did not see everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.recording import Completeness
from harden.model.severity import Severity

__all__ = ["CHECK"]

_MEANING: Final = {
    Completeness.INCOMPLETE: "events were lost while it was recorded",
    Completeness.OPAQUE: "the program did what the recorder cannot see (io_uring, a foreign ABI, ptrace)",
}
_ACCEPTED: Final = {
    None: (Completeness.COMPLETE,),
    Completeness.COMPLETE: (Completeness.COMPLETE,),
    Completeness.OPAQUE: (Completeness.COMPLETE, Completeness.OPAQUE),
    Completeness.INCOMPLETE: tuple(Completeness),
}


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    found = case.subject.profile.generated.completeness
    if found not in _ACCEPTED[case.demand.completeness]:
        yield Hit(
            message=f"the recording is {found}: {_MEANING[found]}",
            section=Section.GENERATED,
            word="completeness",
        )


CHECK: Final = Check(
    id="incomplete-recording",
    severity=Severity.MEDIUM,
    title="the recording is not whole",
    why="What was not recorded is refused later, in production; and somebody will then widen the profile in a hurry.",
    fix="Record again: `harden show` says what was lost and how often, and the recorder's message what to raise.",
    needs=(Facet.PROFILE,),
    run=_run,
)
