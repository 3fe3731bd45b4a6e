"""wide-glob: a pattern that reaches what is not the program's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import hit
from harden.check.subject import Facet
from harden.model.guarded_root import is_too_wide
from harden.model.recording import FileOperation
from harden.model.severity import Severity

__all__ = ["CHECK"]

_HARMLESS: Final = frozenset({FileOperation.STAT})
_OWN_PARTS: Final = ("@{pid}", "@{tid}")


def _run(case: Case) -> Iterator[Hit]:
    for grant in case.subject.files or ():
        wild = [token for token in grant.pattern.tokens if isinstance(token, str) and token not in _OWN_PARTS]
        if wild and grant.operations - _HARMLESS and is_too_wide(grant.pattern.folder):
            folder = grant.pattern.folder.decode("utf-8", "backslashreplace")
            yield hit(grant, f"reaches across {folder}, which is not the program's own")


CHECK: Final = Check(
    id="wide-glob",
    severity=Severity.MEDIUM,
    title="a pattern is too wide",
    why="A wildcard in a folder that programs share grants files that nobody looked at, and those that will be put "
    "there later.",
    fix="Name the files, or put the wildcard into a folder that belongs to the program.",
    needs=(Facet.FILES,),
    run=_run,
)
