"""high-limit: a limit is higher than the policy allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.resource_limit import parse_limit, render_limit
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    limits = case.subject.profile.limits()
    for name, value in sorted(case.demand.max_limits.items()):
        most = parse_limit(name, value)
        if limits.get(name, 0) > most:
            high, allowed = render_limit(name, limits[name]), render_limit(name, most)
            yield Hit(
                message=f"{name} up to {high}; the policy allows {allowed}",
                subject=name,
                section=Section.LIMIT,
                word=name,
            )


CHECK: Final = Check(
    id="high-limit",
    severity=Severity.MEDIUM,
    title="a limit is higher than the policy allows",
    why="The policy says under `max_limits` what one program may take of a host that it shares.",
    fix="Find the run with the peak (`harden explain PROFILE NAME`). Write a lower limit under `[add.limits]` of "
    "NAME.local.toml if the program can do with it, or raise `max_limits`.",
    needs=(Facet.PROFILE,),
    run=_run,
)
