"""What `harden trace` prints at the end: what was learned, what was lost, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from harden.cli import output
from harden.generate.coverage import coverage_of
from harden.model.file_operation import CAN_HAVE_WORKED
from harden.model.recording import Completeness, Recording, Run, SocketOperation, Unseen
from harden.model.sandbox import NetworkMode
from harden.record import Trace

__all__ = ["summarize"]

_LISTED = 8


def summarize(trace: Trace, *, as_json: bool) -> None:
    """Print `trace` on stderr, because stdout is the program's; as JSON on stdout when asked."""
    if as_json:
        output.json_out(_facts(trace))
    runs = trace.runs
    output.note(
        (f"{len(runs)} runs " if len(runs) > 1 else "")
        + f"saw {len({seen.name for run in runs for seen in run.syscalls})} system calls, "
        f"{len({seen.path for run in runs for seen in run.files if seen.result in CAN_HAVE_WORKED})} files, "
        f"{_capabilities(runs)} capabilities, "
        f"{len({seen.path for run in runs for seen in run.executables})} executables"
    )
    told = (text for run in runs for text in (*_changes(run), *_refused_connections(run), *_refused_capabilities(run)))
    for text in dict.fromkeys((*trace.notes, *told, *_coverage(trace))):
        output.note(text)
    for run in runs:
        if run.completeness is not Completeness.COMPLETE:
            reasons = "; ".join(f"{gap.kind}: {gap.detail} (x{gap.count})" for gap in run.gaps)
            output.note(f"the recording is {run.completeness}: {reasons}")
    if trace.written:
        command = f"harden run -p {_argument(trace.files.profile)}"
        output.note(f"wrote {trace.files.recording} and {trace.files.profile}; next: {command}")
    else:
        output.note(f"{trace.reason}: {trace.files.profile} and the recording stay as they were; --force replaces them")


def _capabilities(runs: Sequence[Run]) -> str:
    if all(Unseen.CAPABILITIES in run.host.unseen for run in runs):
        return "unknown"
    return str(len({name for run in runs for name in _granted(run)}))


def _argument(path: Path) -> str:
    """`path` as a shell takes it, and never as an option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def _granted(run: Run) -> set[str]:
    return {seen.capability for seen in run.capabilities if seen.granted and not seen.probing}


def _refused_capabilities(run: Run) -> list[str]:
    refused = sorted(
        {(seen.capability, seen.syscall) for seen in run.capabilities if not seen.granted and not seen.probing}
    )
    held = {name for name, _ in refused} - {seen.capability for seen in run.capabilities if seen.granted}
    wanted = [f"{name} in {syscall or 'no call'}" for name, syscall in refused if name in held]
    return [f"refused while recording: {', '.join(wanted[:_LISTED])}; --cap-add gives it"] if wanted else []


def _coverage(trace: Trace) -> list[str]:
    """How far the runs so far go, once there is more than one."""
    estimates = coverage_of(trace.recording)
    if not estimates:
        return []
    covered = ", ".join(f"{each.kind} {each.coverage:.0%}" for each in estimates if each.seen)
    new = ", ".join(f"{each.expected_new:.1f} {each.kind}" for each in estimates if each.expected_new)
    more = f"; new in the next run: {new}" if new else ""
    return [f"covered by {len(trace.recording.runs)} runs (lower bounds): {covered}{more}"]


def _facts(trace: Trace) -> dict[str, object]:
    made = Recording.of(trace.runs)
    return {
        "runs": [run.id for run in trace.runs],
        "status": trace.status,
        "completeness": made.completeness,
        "gaps": [gap for run in trace.runs for gap in run.gaps],
        "written": trace.written,
        "recording": str(trace.files.recording),
        "profile": str(trace.files.profile),
        "syscalls": sorted({seen.name for run in trace.runs for seen in run.syscalls}),
        "changes": sorted({change for run in trace.runs for change in run.changes}),
        "peaks": {name: max(run.peaks.get(name, 0) for run in trace.runs) for run in trace.runs for name in run.peaks},
        "coverage": coverage_of(trace.recording),
    }


def _changes(run: Run) -> list[str]:
    if not run.changes:
        return []
    named = ", ".join(f"{change.path} ({change.kind})" for change in run.changes[:_LISTED])
    more = f" and {len(run.changes) - _LISTED} more" if len(run.changes) > _LISTED else ""
    return [f"changed only in the program's copy of the files: {named}{more}"]


def _refused_connections(run: Run) -> list[str]:
    if run.workload.network is not NetworkMode.NONE:
        return []
    refused = sorted(
        {
            f"{seen.address}:{seen.port}"
            for seen in run.sockets
            if seen.operation in (SocketOperation.CONNECT, SocketOperation.SEND)
            and seen.result in ("ENETUNREACH", "EHOSTUNREACH", "ENETDOWN")
        }
    )
    return (
        [f"could not reach {', '.join(refused[:_LISTED])}: the sandbox has loopback only; --net host"]
        if refused
        else []
    )
