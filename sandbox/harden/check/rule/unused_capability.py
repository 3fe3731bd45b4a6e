"""unused-capability: a capability is granted that no recorded run exercised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.origin import Origin
from harden.model.severity import Severity

__all__ = ["CHECK"]

_EXERCISED: Final = (Origin.OBSERVED, Origin.REFINED)


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    granted = case.subject.profile.rights.capabilities
    seen = {name for origin in _EXERCISED for name in granted.get(origin, ())}
    for origin in Origin:
        for name in granted.get(origin, ()):
            if name not in seen:
                yield Hit(
                    message=f"{name} is granted ({origin}), but no recorded run exercised it",
                    subject=name,
                    section=Section.CAPABILITY,
                    word=name,
                )


CHECK: Final = Check(
    id="unused-capability",
    severity=Severity.MEDIUM,
    title="a capability was never exercised",
    why="A capability that the program does not use is of use to nobody but an intruder.",
    fix="Remove it from NAME.local.toml, or record a run that needs it, so that the profile shows who does.",
    needs=(Facet.PROFILE,),
    run=_run,
)
