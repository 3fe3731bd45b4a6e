"""cap-sys-admin: the capability that is root in all but name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.capability import Capability
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    if Capability.CAP_SYS_ADMIN in (case.subject.capabilities or ()):
        name = Capability.CAP_SYS_ADMIN.name
        yield Hit(message=f"{name} is granted", subject=name, section=Section.CAPABILITY, word=name)


CHECK: Final = Check(
    id="cap-sys-admin",
    severity=Severity.CRITICAL,
    title="CAP_SYS_ADMIN is granted",
    why="It mounts, enters namespaces, loads BPF and does a hundred other things; a program that holds it can "
    "mostly get the "
    "rest (capabilities(7) calls it the new root).",
    fix="Find the one operation that asks for it (`harden show` names the system call) and let something else do it.",
    needs=(Facet.CAPABILITIES,),
    run=_run,
)
