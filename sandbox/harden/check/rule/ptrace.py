"""ptrace: calls that reach into other processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import granted_calls
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]

_CALLS: Final = (
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "process_madvise",
    "kcmp",
)


def _run(case: Case) -> Iterator[Hit]:
    yield from granted_calls(case, _CALLS)


CHECK: Final = Check(
    id="ptrace",
    severity=Severity.HIGH,
    title="other processes can be read or steered",
    why="These calls read or change the memory, the registers or the files of other processes: what one process may "
    "not do, it makes another do.",
    fix="Refuse them; debuggers and crash handlers get a profile of their own.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
