"""wide-network: the profile may reach more of the network than a recorded run did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.network_rule import NetworkRule
from harden.model.origin import Origin
from harden.model.severity import Severity

__all__ = ["CHECK"]

_SEEN: Final = (Origin.OBSERVED, Origin.REFINED)


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    rights = case.subject.profile.rights
    seen = {NetworkRule.parse(text) for origin in _SEEN for text in rights.network.get(origin, ())}
    for origin in Origin:
        for text in rights.network.get(origin, ()):
            if NetworkRule.parse(text) not in seen:
                yield Hit(
                    message=f"{text} is granted ({origin}), but no recorded run did it",
                    subject=text,
                    section=Section.NETWORK,
                    word=text,
                )
    for origin in Origin:
        for row in rights.arguments.get("socket", {}).get(origin, ()):
            if row[0] == "*":
                yield Hit(
                    message=f"sockets of any address family can be made ({origin})",
                    subject="socket",
                    section=Section.ARGUMENT,
                    word="socket",
                )


CHECK: Final = Check(
    id="wide-network",
    severity=Severity.MEDIUM,
    title="more network than was observed",
    why="An address that the program never used is a way out for whoever takes it over.",
    fix="Remove the rule from NAME.local.toml, or record a run that needs it.",
    needs=(Facet.PROFILE,),
    run=_run,
)
