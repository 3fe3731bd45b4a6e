"""writable-executable: memory can be writable and executable at once (W+X)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import Row, passes
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]

_WRITE_EXEC: Final = 6
_PROBES: Final = tuple((0, 4096, protection, flags, 0, 0) for protection in (6, 7) for flags in (0, 0x22))


def _row(row: Row) -> bool:
    return row[0] is None or row[0] & _WRITE_EXEC == _WRITE_EXEC


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.seccomp is not None
    for name in ("mmap", "mprotect", "pkey_mprotect"):
        if passes(case.subject.seccomp, name, row=_row, probes=_PROBES):
            yield Hit(
                message=f"{name} is allowed with PROT_WRITE and PROT_EXEC together",
                subject=name,
                section=Section.ARGUMENT,
                word=name,
            )


CHECK: Final = Check(
    id="writable-executable",
    severity=Severity.MEDIUM,
    title="memory can be writable and executable",
    why="An attacker who can write into the program's memory and have it executed needs no file and no exec right "
    "to run code "
    "of its own.",
    fix="Allow mmap and mprotect without PROT_WRITE and PROT_EXEC together. A just-in-time compiler may need it: "
    "waive it there.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
