"""user-namespace: the program can make a user namespace, in which it holds every capability."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import Row, passes
from harden.check.subject import Facet, Reach, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]

_NEWUSER: Final = 0x10000000
_SIGCHLD: Final = 17
_PROBES: Final = tuple(
    (flags, 0, 0, 0, 0, 0) for flags in (_NEWUSER, _NEWUSER | _SIGCHLD, _NEWUSER | 0x20000 | _SIGCHLD)
)


def _row(row: Row) -> bool:
    return row[0] is None or bool(row[0] & _NEWUSER)


def _run(case: Case) -> Iterator[Hit]:
    facet = case.subject.seccomp
    assert facet is not None
    found = [name for name in ("clone", "unshare") if passes(facet, name, row=_row, probes=_PROBES)]
    if any(facet.reach(arch, "clone3") is not Reach.NEVER for arch in facet.architectures):
        found.append("clone3")
    for name in found:
        manner = (
            "with its flags behind a pointer, where no filter sees them" if name == "clone3" else "with CLONE_NEWUSER"
        )
        yield Hit(message=f"{name} is allowed {manner}", subject=name, section=Section.SYSCALL, word=name)


CHECK: Final = Check(
    id="user-namespace",
    severity=Severity.HIGH,
    title="user namespaces can be made",
    why="In a user namespace of its own any program holds every capability, and reaches the parts of the kernel "
    "that only root "
    "should: two thirds of the kernelCTF exploits needed that.",
    fix="Allow clone and unshare without CLONE_NEWUSER, and answer clone3 with ENOSYS: C libraries then use clone.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
