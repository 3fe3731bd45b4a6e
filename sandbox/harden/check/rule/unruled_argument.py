"""unruled-argument: a call whose first arguments decide what it does is allowed with any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import reached
from harden.check.subject import Facet, Reach, Section
from harden.model.severity import Severity
from harden.model.syscall_argument import ARGUMENT_ROWS

__all__ = ["CHECK"]

_DECIDED: Final = (
    "bpf", "clone", "ioctl", "keyctl", "mmap", "mprotect", "personality", "pkey_mprotect", "prctl", "seccomp", "setns",
    "socket", "unshare",
)  # fmt: skip


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.seccomp is not None
    for name, _, reach in reached(case.subject.seccomp, _DECIDED):
        if reach is Reach.ALWAYS:
            arguments = ", ".join(argument.name for argument in ARGUMENT_ROWS[name].arguments)
            yield Hit(
                message=f"{name} is allowed whatever its arguments ({arguments}) are",
                subject=name,
                section=Section.SYSCALL,
                word=name,
            )


CHECK: Final = Check(
    id="unruled-argument",
    severity=Severity.MEDIUM,
    title="a dangerous call is allowed without an argument rule",
    why="ioctl, prctl, socket, clone and their like are many calls behind one number; some of them are where the "
    "kernel's bugs "
    "are, and a program uses a handful.",
    fix="List the arguments that are needed: record the program again (a recording says which), or write them under "
    "`add.arguments` of NAME.local.toml.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
