"""missing-syscall: the policy requires a call that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Reach, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    facet = case.subject.seccomp
    assert facet is not None
    for name in case.demand.required_syscalls:
        if all(facet.reach(arch, name) is Reach.NEVER for arch in facet.architectures):
            yield Hit(message=f"{name} is required and refused", subject=name, section=Section.SYSCALL)


CHECK: Final = Check(
    id="missing-syscall",
    severity=Severity.HIGH,
    title="a required system call is refused",
    why="The policy lists it under `required_syscalls`: something that must always work needs it.",
    fix="Add it to `add.syscalls` of NAME.local.toml, or record a run that makes it.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
