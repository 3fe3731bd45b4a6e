"""io-uring: rings make calls that no filter sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import granted_calls
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]

_CALLS: Final = (
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
)


def _run(case: Case) -> Iterator[Hit]:
    yield from granted_calls(case, _CALLS)


CHECK: Final = Check(
    id="io-uring",
    severity=Severity.HIGH,
    title="io_uring is allowed",
    why="A ring makes system calls that no seccomp filter examines, and 60 % of the exploits in the first years of "
    "Google's kernel bounty went through it.",
    fix="Refuse the three io_uring calls; programs fall back to epoll and read. Where that is not possible, waive "
    "it with a date.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
