"""bpf: loads programs into the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import granted_calls
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]

_CALLS: Final = ("bpf",)


def _run(case: Case) -> Iterator[Hit]:
    yield from granted_calls(case, _CALLS)


CHECK: Final = Check(
    id="bpf",
    severity=Severity.HIGH,
    title="bpf is allowed",
    why="A BPF program runs inside the kernel, and the verifier that should hold it has failed often.",
    fix="Refuse bpf; what attaches programs is an agent of its own, not the application.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
