"""Notes on what a profile cannot grant, or what the recording shows to have been refused already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from harden.generate import note
from harden.model.file_operation import ABSENT, CAN_HAVE_WORKED
from harden.model.guarded_root import ON_ROOT
from harden.model.need import capability_needs, file_needs, normal_path
from harden.model.profile import render_file_rights
from harden.model.recording import CapabilityNamespace, FileOperation, Run, Unseen
from harden.model.refused_anyway import TOPOLOGY
from harden.model.workload import MASK

__all__ = ["call_notes", "capability_notes", "file_notes", "unseen_notes"]

_EXECUTED = frozenset({FileOperation.EXEC, FileOperation.MAP})
_SEARCHES = frozenset({"CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"})


def call_notes(runs: Sequence[Run]) -> list[str]:
    """Calls that were made and that a control refuses although they are granted.

    Mounts that already failed when they were recorded lose nothing.
    """
    called = {
        call.name
        for run in runs
        for call in run.syscalls
        if call.name not in TOPOLOGY or call.count > sum((call.errors or {}).values())
    }
    return note.calls_refused_anyway(called)


def capability_notes(runs: Sequence[Run]) -> list[str]:
    """A note for each capability that was asked for in the sandbox's namespace, refused, and never granted.

    The kernel asks for CAP_DAC_READ_SEARCH and CAP_DAC_OVERRIDE in turn: having got one of them is enough.
    """
    got = {need for run in runs for need in capability_needs(run)}
    refused: dict[str, set[str]] = defaultdict(set)
    for seen in (seen for run in runs for seen in run.capabilities):
        if not seen.granted and not seen.probing and seen.namespace is CapabilityNamespace.SANDBOX:
            refused[seen.capability] |= {seen.syscall} if seen.syscall else set()
    return [
        note.refused_capability(capability, sorted(calls))
        for capability, calls in sorted(refused.items())
        if capability not in got and not (capability in _SEARCHES and got & _SEARCHES)
    ]


def file_notes(runs: Sequence[Run]) -> list[str]:
    """What was used as a file and has no path that a rule could name."""
    notes: list[str] = []
    unnamed = {executable.path for run in runs for executable in run.executables}
    unnamed |= {
        seen.path
        for run in runs
        for seen in run.files
        if seen.operation in _EXECUTED and seen.result in CAN_HAVE_WORKED
    }
    in_memory = sorted(path for path in unnamed if path and normal_path(path) is None)
    if in_memory:
        notes.append(note.from_memory(in_memory))
    on_root = frozenset().union(*(file_needs(run).get(b"/", frozenset()) for run in runs)) - ON_ROOT
    if on_root:
        notes.append(note.on_root(render_file_rights(on_root)))
    if any(MASK in seen.path for run in runs for seen in run.files):
        notes.append(note.MASKED_PATHS)
    return notes


def unseen_notes(runs: Sequence[Run]) -> list[str]:
    """What recorders could not see, and what that means for the profile."""
    notes = []
    unseen = {each for run in runs for each in run.host.unseen}
    if Unseen.RESULTS in unseen:
        blind = [run for run in runs if Unseen.RESULTS in run.host.unseen]
        absent = {seen.path for run in blind for seen in run.files if seen.result == ABSENT}
        notes.append(note.unknown_results(len(absent)))
    if Unseen.CAPABILITIES in unseen:
        blind = [run for run in runs if Unseen.CAPABILITIES in run.host.unseen]
        notes.append(note.unknown_capabilities(sorted({name for run in blind for name in run.workload.capabilities})))
    return notes
