"""The workload of a profile that is made from several runs: one that a rerun can start, and what differed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from harden.generate import note
from harden.generate.redact import is_masked
from harden.model.recording import Run
from harden.model.workload import Workload

__all__ = ["chosen_run", "workload_notes", "workload_of"]


def chosen_run(runs: Sequence[Run]) -> Run:
    """The run whose workload stands for all of them.

    One that can be started again (nothing in it is masked) before one that cannot, then the one that most runs share
    whatever the build of the program, then the smallest id: recordings have no order in time.
    """
    shared = Counter(_key(run.workload) for run in runs)
    return min(runs, key=lambda run: (is_masked(run.workload), -shared[_key(run.workload)], run.id))


def workload_of(runs: Sequence[Run]) -> Workload:
    """The workload of `chosen_run`, without digest and build id where the runs are of different builds."""
    workload = chosen_run(runs).workload
    if len(_builds(runs, workload.program)) > 1:
        return msgspec.structs.replace(workload, digest="", build_id="")
    return workload


def workload_notes(runs: Sequence[Run]) -> list[str]:
    """A note for each way in which the runs did not start the same thing."""
    chosen = chosen_run(runs)
    programs = sorted({run.workload.program for run in runs})
    notes = [note.different_programs(programs, chosen)] if len(programs) > 1 else []
    for program in programs:
        builds = _builds(runs, program)
        if len(builds) > 1:
            notes.append(note.several_builds(len(builds), program))
    lines = {run.workload.argv for run in runs if run.workload.program == chosen.workload.program}
    return [*notes, note.several_workloads(len(lines), chosen)] if len(lines) > 1 else notes


def _builds(runs: Sequence[Run], program: str) -> set[tuple[str, str]]:
    return {(run.workload.digest, run.workload.build_id) for run in runs if run.workload.program == program}


def _key(workload: Workload) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(workload, digest="", build_id=""), order="sorted")
