"""forbidden-syscall: the policy forbids a call that gets through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import granted_calls
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    yield from granted_calls(case, case.demand.forbidden_syscalls)


CHECK: Final = Check(
    id="forbidden-syscall",
    severity=Severity.HIGH,
    title="a forbidden system call is allowed",
    why="The policy lists it under `forbidden_syscalls`.",
    fix="Remove the call from the profile, or have the policy changed or the finding waived by those who wrote it.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
