"""forbidden-capability: the policy forbids a capability that is granted, or does not list it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    allowed = case.demand.allowed_capabilities
    for capability in sorted(case.subject.capabilities or ()):
        name = capability.name
        if name in case.demand.forbidden_capabilities:
            problem = "is granted and forbidden by the policy"
        elif allowed is not None and name not in allowed:
            problem = "is granted, and not on the policy's list"
        else:
            continue
        yield Hit(message=f"{name} {problem}", subject=name, section=Section.CAPABILITY, word=name)


CHECK: Final = Check(
    id="forbidden-capability",
    severity=Severity.HIGH,
    title="a forbidden capability is granted",
    why="The policy says under `forbidden_capabilities` or `allowed_capabilities` which privileges there may be.",
    fix="Remove the capability; `harden show` says which system call asked for it.",
    needs=(Facet.CAPABILITIES,),
    run=_run,
)
