"""forbidden-file: the policy forbids rights on a path that are granted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import hit
from harden.check.path_overlap import overlap
from harden.check.subject import Facet
from harden.model.path_pattern import PathPattern
from harden.model.profile import parse_file_rights, render_file_rights
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    for text, rights in sorted(case.demand.forbidden_files.items()):
        pattern, operations = PathPattern.parse(text), parse_file_rights(rights)
        for grant in case.subject.files or ():
            if grant.operations & operations and overlap(grant.pattern, pattern):
                words = render_file_rights(grant.operations & operations)
                yield hit(grant, f"is granted {words}, which the policy forbids on {text}")


CHECK: Final = Check(
    id="forbidden-file",
    severity=Severity.HIGH,
    title="a forbidden path is granted",
    why="The policy lists the path and the rights under `forbidden_files`.",
    fix="Narrow the pattern or remove the rights from the profile.",
    needs=(Facet.FILES,),
    run=_run,
)
