"""low-coverage: the runs of a recording leave more unseen than the policy allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    least = case.demand.min_coverage
    if least is None:
        return
    if not case.around.coverage:
        why = "there is no recording beside it" if case.around.coverage is None else "two runs are the least"
        yield Hit(message=f"its coverage is not known: {why}", section=Section.GENERATED, word="runs")
        return
    for each in case.around.coverage:
        if each.coverage < least:
            yield Hit(
                message=f"{each.runs} runs cover {each.coverage:.3f} of the {each.kind} at best; "
                f"the policy demands {least:g}",
                subject=each.kind,
                section=Section.GENERATED,
                word="runs",
            )


CHECK: Final = Check(
    id="low-coverage",
    severity=Severity.MEDIUM,
    title="too much was probably not seen",
    why="Things that only one run saw tell how much no run saw. The share is a bound from above: runs that are driven "
    "alike see alike, and know nothing of the rest.",
    fix="Trace the program again with other inputs until runs stop showing new things; `harden show RECORDING` tells.",
    needs=(Facet.PROFILE,),
    run=_run,
)
