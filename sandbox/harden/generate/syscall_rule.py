"""System call rules: what was seen, the baseline, and siblings where a filter makes the C library take another call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harden.generate import note
from harden.model.arch import Arch
from harden.model.baseline import Baseline, BaselineAnswer, Families
from harden.model.file_operation import OK, FileOperation
from harden.model.origin import Origin
from harden.model.recording import Run
from harden.model.syscall import number_of
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

__all__ = ["architectures", "argument_rules", "foreign_arch_notes", "syscall_rules"]

Rows = Mapping[Origin, tuple[tuple[str, ...], ...]]

_COMBINATIONS = 16
_SINGLE_VALUES = 64


def architectures(runs: Sequence[Run]) -> tuple[Arch, ...]:
    """The ABIs whose calls were made; the host's own where no call was recorded."""
    seen = {call.arch for run in runs for call in run.syscalls}
    return tuple(sorted(seen or {run.host.arch for run in runs}))


def foreign_arch_notes(runs: Sequence[Run]) -> list[str]:
    """One note for each ABI beside the host's."""
    native = {run.host.arch for run in runs}
    return [
        note.foreign_arch(arch, min(native), tuple(c for run in runs for c in run.syscalls if c.arch is arch))
        for arch in architectures(runs)
        if arch not in native
    ]


def syscall_rules(runs: Sequence[Run], baseline: Baseline, families: Families | None) -> dict[Origin, tuple[str, ...]]:
    """The granted calls by origin, each under the first origin that asks for it.

    clone3 passes its flags in memory, where a filter cannot see them: it is answered with ENOSYS, and every C library
    then takes clone, which is therefore granted with it.
    """
    archs = architectures(runs)
    observed = {call.name for run in runs for call in run.syscalls}
    always = {name for entry in baseline.syscalls for name in entry.names}
    always |= {answer.syscall for answer in _answers(runs, baseline)}
    siblings = {"clone"} if "clone3" in observed else set()
    for family in families.families if families else ():
        siblings |= set(family) if observed & set(family) else set()
    by_origin = {
        Origin.OBSERVED: observed,
        Origin.BASELINE: _known(always, archs) - observed,
        Origin.FAMILY: _known(siblings, archs) - observed - always,
    }
    return {origin: tuple(sorted(names)) for origin, names in by_origin.items() if names}


def _answers(runs: Sequence[Run], baseline: Baseline) -> list[BaselineAnswer]:
    """Those whose file a run read."""
    read = {
        file.path for run in runs for file in run.files if file.operation is FileOperation.READ and file.result == OK
    }
    return [answer for answer in baseline.answers if answer.path in read]


def _known(names: Iterable[str], archs: Iterable[Arch]) -> set[str]:
    return {name for name in names if any(number_of(arch, name) is not None for arch in archs)}


def argument_rules(
    runs: Sequence[Run], syscalls: Mapping[Origin, tuple[str, ...]], baseline: Baseline
) -> tuple[dict[str, dict[Origin, tuple[tuple[str, ...], ...]]], list[str]]:
    """The allowed argument combinations of every granted call that has them, and a note for each that takes any."""
    granted = {name for names in syscalls.values() for name in names}
    rules: dict[str, dict[Origin, tuple[tuple[str, ...], ...]]] = {}
    notes: list[str] = []
    for name in sorted(granted & ARGUMENT_ROWS.keys()):
        rows, why = _observed_rows(name, runs)
        if rows is None:
            notes.append(note.any_arguments(name, why))
            continue
        always = {values for entry in baseline.arguments if entry.syscall == name for values in entry.values}
        always |= {values for answer in _answers(runs, baseline) if answer.syscall == name for values in answer.values}
        siblings = _clones_of_clone3(runs) if name == "clone" and "clone3" in granted else set()
        by_origin = {
            Origin.OBSERVED: rows,
            Origin.BASELINE: always - rows,
            Origin.FAMILY: siblings - rows - always,
        }
        rules[name] = {origin: tuple(sorted(found)) for origin, found in by_origin.items() if found}
        if not rules[name]:
            del rules[name]
            notes.append(note.any_arguments(name, "it was never seen and nothing is known of its arguments"))
    return rules, notes


def _clones_of_clone3(runs: Sequence[Run]) -> set[tuple[str, ...]]:
    """What the clone calls ask for that come in place of clone3. It has no flag for a time namespace.

    A plain one is always among them: the flags of some may not be known.
    """
    row = ARGUMENT_ROWS["clone"]
    seen = (arguments.values for run in runs for arguments in run.arguments if arguments.name == "clone3")
    flags = {values[0] & row.arguments[0].mask for values in seen if values is not None}
    return {render_values(row, (each,)) for each in flags | {0}}


def _observed_rows(name: str, runs: Sequence[Run]) -> tuple[set[tuple[str, ...]] | None, str]:
    """The combinations seen; None and the reason where they cannot be listed."""
    row = ARGUMENT_ROWS[name]
    seen = [arguments for run in runs for arguments in run.arguments if arguments.name == name]
    if any(arguments.values is None for arguments in seen):
        return None, "there were more combinations than the recorder keeps"
    if any(_was_called(name, run) and not any(arguments.name == name for arguments in run.arguments) for run in runs):
        return None, "the recorder did not see them"
    values = {arguments.values for arguments in seen if arguments.values is not None}
    limit = _SINGLE_VALUES if len(row.arguments) == 1 else _COMBINATIONS
    if len(values) > limit:
        return None, f"{len(values)} combinations were seen, more than the {limit} that a rule lists"
    return {render_values(row, combination) for combination in values}, ""


def _was_called(name: str, run: Run) -> bool:
    return any(call.name == name for call in run.syscalls)
