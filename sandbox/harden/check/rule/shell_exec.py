"""shell-exec: the program may start a shell or another general interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import hit, patterns
from harden.check.path_overlap import overlap
from harden.check.subject import Facet
from harden.model.recording import FileOperation
from harden.model.severity import Severity

__all__ = ["CHECK"]

_SHELLS: Final = ("sh", "ash", "bash", "dash", "ksh*", "mksh", "zsh", "fish", "tcsh", "csh", "busybox")
_PATTERNS: Final = patterns(
    *(f"{folder}/{name}" for folder in ("/bin", "/usr/bin", "/usr/local/bin") for name in _SHELLS)
)


def _run(case: Case) -> Iterator[Hit]:
    own = case.subject.profile.workload.program if case.subject.profile else ""
    for grant in case.subject.files or ():
        executed = FileOperation.EXEC in grant.operations and grant.text != own
        if executed and any(overlap(grant.pattern, shell) for shell in _PATTERNS):
            yield hit(grant, "can be executed, and is or holds a shell")


CHECK: Final = Check(
    id="shell-exec",
    severity=Severity.MEDIUM,
    title="a shell can be executed",
    why="A shell turns one injected string into any sequence of commands; most exploits end in one.",
    fix="Start the helper that is needed directly instead of by system(3) or popen(3). Where a shell script is the "
    "program, waive it.",
    needs=(Facet.FILES,),
    run=_run,
)
