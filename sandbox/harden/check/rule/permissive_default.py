"""permissive-default: a filter that lets through whatever it does not name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.bpf.action import describe
from harden.check.case import Case, Check, Hit
from harden.check.passage import lets_through
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.seccomp is not None
    unknown = case.subject.seccomp.unknown
    if lets_through(unknown):
        yield Hit(
            message=f"a call that the filter does not name gets {describe(unknown)}: it forbids some calls, and "
            f"allows the rest",
            section=Section.DEFAULT,
        )


CHECK: Final = Check(
    id="permissive-default",
    severity=Severity.CRITICAL,
    title="the default action lets calls through",
    why="Linux gains system calls with every release; a list of what is forbidden allows each new one, and every "
    "one that "
    "nobody thought of.",
    fix="Make the default action an error (SCMP_ACT_ERRNO) and list the calls that are needed; `harden trace` finds "
    "them.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
