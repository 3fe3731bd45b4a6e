"""foreign-arch: a second ABI is open beside the program's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.arch import Arch
from harden.model.severity import Severity

__all__ = ["CHECK"]

_SECOND: Final = {Arch.X86_64: (Arch.I386, Arch.X32)}


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.seccomp is not None
    have = case.subject.seccomp.architectures
    for main, others in _SECOND.items():
        for arch in others if main in have else ():
            if arch in have:
                yield Hit(
                    message=f"the {arch} ABI is open beside {main}: every granted name can be called by both",
                    subject=arch,
                    section=Section.ARCHITECTURE,
                    word=arch,
                )


CHECK: Final = Check(
    id="foreign-arch",
    severity=Severity.MEDIUM,
    title="a second ABI is open",
    why="The compatibility entry points are less used and less tested, argument rules are weaker there (i386's "
    "socketcall and "
    "mmap take pointers), and few programs need them.",
    fix="Keep the one architecture that the program is built for; run 32-bit helpers under a profile of their own.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
