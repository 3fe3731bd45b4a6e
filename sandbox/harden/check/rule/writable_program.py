"""writable-program: a path can be written and executed."""

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

_FILLS: Final = frozenset(
    {FileOperation.WRITE, FileOperation.APPEND, FileOperation.CREATE, FileOperation.REFER, FileOperation.LINK,
     FileOperation.SYMLINK, FileOperation.CHMOD}
)  # fmt: skip
_RUNS: Final = frozenset({FileOperation.EXEC, FileOperation.MAP})
_PROGRAMS: Final = patterns(
    *(
        f"{prefix}/{folder}/**"
        for prefix in ("", "/usr", "/usr/local")
        for folder in ("bin", "sbin", "lib", "lib64", "libexec")
    )
)


def _run(case: Case) -> Iterator[Hit]:
    grants = case.subject.files or ()
    runs = [grant for grant in grants if grant.operations & _RUNS]
    for grant in grants:
        if not grant.operations & _FILLS:
            continue
        if any(overlap(grant.pattern, folder) for folder in _PROGRAMS):
            yield hit(grant, "can be written, and holds programs or libraries")
            continue
        executed = next((each for each in runs if overlap(grant.pattern, each.pattern)), None)
        if executed is not None:
            also = "" if executed.text == grant.text else f" as part of {executed.text}"
            yield hit(grant, f"can be written and executed{also}")


CHECK: Final = Check(
    id="writable-program",
    severity=Severity.HIGH,
    title="a path can be written and executed",
    why="A program that may write what it may execute runs whatever it was made to download; the exec rules then "
    "hold nothing.",
    fix="Separate the two: programs and libraries in a folder that is read-only to the program, its data in another "
    "without exec.",
    needs=(Facet.FILES,),
    run=_run,
)
