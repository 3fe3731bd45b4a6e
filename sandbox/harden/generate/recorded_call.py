"""What a recording's runs did, which anybody may have written: names that exist, arguments that a rule can hold."""

from __future__ import annotations

from collections.abc import Iterable

from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.need import capability_needs
from harden.model.recording import Run
from harden.model.syscall import number_of
from harden.model.syscall_argument import RECORDED_ROWS

__all__ = ["check_calls"]


def check_calls(runs: Iterable[Run]) -> None:
    """DocumentError for a call that its architecture does not have, arguments that are not those of its row, or a
    capability that was used and has no name here.
    """
    for run in runs:
        _check_capabilities(run)
        for call in run.syscalls:
            _check_name(run, call.arch, call.name)
        for seen in run.arguments:
            _check_name(run, seen.arch, seen.name)
            _check_values(run, seen.name, seen.values)


def _refused(run: Run, problem: str) -> DocumentError:
    return DocumentError(f"run {run.id}", problem, hint="no recorder wrote that: record it again")


def _check_name(run: Run, arch: Arch, name: str) -> None:
    if number_of(arch, name) is None:
        raise _refused(run, f"{arch} has no system call {name!r}")


def _check_capabilities(run: Run) -> None:
    newer = sorted(capability_needs(run) - set(Capability.__members__))
    if newer:
        raise DocumentError(
            f"run {run.id}",
            f"needs {newer[0]}, which no profile of this version can grant",
            hint="generate the profile with a newer harden",
        )


def _check_values(run: Run, name: str, values: tuple[int, ...] | None) -> None:
    row = RECORDED_ROWS.get(name)
    if values is None or row is None:
        return
    if len(values) != len(row.arguments):
        raise _refused(run, f"{name} has {len(row.arguments)} arguments that are recorded, not {len(values)}")
    for argument, value in zip(row.arguments, values, strict=True):
        if value & ~argument.mask:
            raise _refused(run, f"{name}: {value:#x} has bits outside {argument.mask:#x}, which {argument.name} keeps")
