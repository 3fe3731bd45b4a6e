"""unchecked-arch: calls by another ABI of the same machine pass unexamined, x32 included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.seccomp is not None
    for arch in case.subject.seccomp.unchecked:
        yield Hit(
            message=f"calls of the {arch} ABI get through without being examined",
            subject=arch,
            section=Section.ARCHITECTURE,
            word=arch,
        )


CHECK: Final = Check(
    id="unchecked-arch",
    severity=Severity.CRITICAL,
    title="an ABI is not checked",
    why="On x86-64 every process can also call by the i386 and the x32 ABI, where numbers mean other calls; a "
    "filter that does "
    "not look at the architecture can be walked around with one instruction.",
    fix="Refuse every architecture that the program does not use, and numbers with the x32 bit (0x40000000).",
    needs=(Facet.SECCOMP,),
    run=_run,
)
