"""too-many-rights: a profile has more rights of one kind than the policy allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.recording import FileOperation
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    assert case.subject.profile is not None
    rights, most = case.subject.profile.rights, case.demand.most
    files = case.subject.files or ()
    counts = (
        ("system calls", len(rights.all_syscalls()), most.syscalls, Section.SYSCALL),
        ("capabilities", len(rights.all_capabilities()), most.capabilities, Section.CAPABILITY),
        ("file rules", len(files), most.files, Section.FILE),
        ("network rules", len(rights.all_network()), most.network, Section.NETWORK),
        (
            "programs to execute",
            sum(FileOperation.EXEC in grant.operations for grant in files),
            most.programs,
            Section.FILE,
        ),
    )
    for kind, number, limit, section in counts:
        if limit is not None and number > limit:
            yield Hit(message=f"{number} {kind}; the policy allows {limit}", subject=kind, section=section)


CHECK: Final = Check(
    id="too-many-rights",
    severity=Severity.MEDIUM,
    title="more rights than the policy allows",
    why="A profile that nobody can read is not reviewed; and a program that needs so much is a candidate for being "
    "split.",
    fix="Look for rights that came with one unusual run, and for folders that could be one pattern; or raise `most`.",
    needs=(Facet.PROFILE,),
    run=_run,
)
