"""How `harden show` prints a recording: each run with what was seen in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from harden.cli import output
from harden.cli.coverage import COVERAGE_WARNING, coverage_rows
from harden.generate.coverage import coverage_of
from harden.model.recording import Phase, Recording, Run
from harden.model.syscall_argument import RECORDED_ROWS, render_values

__all__ = ["show_recording"]


def show_recording(recording: Recording) -> None:
    """Print every run of `recording`."""
    output.line(f"recording: {len(recording.runs)} run(s), {recording.completeness}")
    estimates = coverage_of(recording)
    if estimates:
        output.line()
        output.line(f"coverage over {len(recording.runs)} runs in the order below: {COVERAGE_WARNING}")
        output.table([("", *row) for row in coverage_rows(estimates)])
    for run in recording.runs:
        _show_run(run)


def _show_run(run: Run) -> None:
    status = run.status
    ended = f"signal {status.signal}" if status.signal is not None else f"status {status.exit_status}"
    output.line()
    disturbed = f" ({run.perturbation})" if run.perturbation else ""
    output.line(f"run {run.id}{disturbed}: {' '.join(run.workload.argv)}")
    ended += ", timed out" if status.timed_out else ""
    output.line(f"  {ended}; {run.completeness}; {run.host.recorder}, Linux {run.host.kernel}")
    if run.host.unseen:
        output.line(f"  not seen by this recorder: {', '.join(run.host.unseen)}")
    for gap in run.gaps:
        output.line(f"  {gap.kind} x{gap.count}: {gap.detail}")
    output.line()
    output.line(f"executables ({len(run.executables)})")
    for executable in run.executables:
        output.line(f"  {executable.path}  {len(executable.libraries)} libraries")
    _show_syscalls(run)
    _show_capabilities(run)
    output.line()
    output.line(f"files ({len(run.files)})")
    output.table(
        [("", f.operation, f.result, f.path, f"x{f.count} {f.syscall}{_early(run, f.phases)}") for f in run.files],
    )
    output.line()
    output.line(f"sockets ({len(run.sockets)})")
    output.table(
        [
            (
                "",
                s.operation,
                s.family,
                s.type,
                s.address + (f":{s.port}" if s.port is not None else ""),
                s.result,
                f"x{s.count}{_early(run, s.phases)}",
            )
            for s in run.sockets
        ]
    )
    _show_actions(run)
    if run.stacks is not msgspec.UNSET:
        missing = ", ".join(f"{count} {why}" for why, count in run.stacks.missing.items())
        output.line()
        output.line(
            f"stacks ({len(run.stacks.stacks)}{f', missing: {missing}' if missing else ''}): see harden explain"
        )
    if run.changes:
        output.line()
        output.line(f"changed in the program's copy of the host's files ({len(run.changes)})")
        output.table([("", change.kind, change.file_type, change.path) for change in run.changes])


def _show_actions(run: Run) -> None:
    if run.signals:
        output.line()
        output.line(f"signals sent ({len(run.signals)})")
        output.table(
            [
                ("", s.signal, f"to {s.target}", s.syscall, f"x{s.count} by {s.executable}{_early(run, s.phases)}")
                for s in run.signals
            ]
        )
    if run.ring_operations:
        output.line()
        output.line(f"io_uring operations ({len(run.ring_operations)})")
        output.table([("", o.operation, o.syscall, f"x{o.count} by {o.executable}") for o in run.ring_operations])
    _show_namespaces(run)
    if run.mounts:
        output.line()
        output.line(f"file systems mounted ({len(run.mounts)})")
        output.table(
            [
                ("", m.syscall, m.filesystem, m.result, f"x{m.count} by {m.executable}{_early(run, m.phases)}")
                for m in run.mounts
            ]
        )
    if run.lookups:
        output.line()
        output.line(f"names looked up ({len(run.lookups)}), as the name servers answered")
        output.table(
            [
                ("", n.host, " ".join(n.addresses), f"x{n.count} by {n.executable}{_early(run, n.phases)}")
                for n in run.lookups
            ]
        )
    if run.peaks:
        output.line()
        output.line("peaks: " + ", ".join(f"{name} {value:g}" for name, value in sorted(run.peaks.items())))


def _show_namespaces(run: Run) -> None:
    """Which kinds of namespaces were asked for, whether by flags in a register or in memory."""
    asked = [
        ("", seen.name, render_values(RECORDED_ROWS[seen.name], seen.values)[0], f"x{seen.count} by {seen.executable}")
        for seen in run.arguments
        if seen.name in ("clone", "clone3", "unshare", "setns") and seen.values and seen.values[0]
    ]
    if asked:
        output.line()
        output.line(f"namespaces asked for ({len(asked)})")
        output.table(asked)


def _early(run: Run, phases: Sequence[Phase]) -> str:
    """Said of what a program that serves did not need any more then."""
    return ", init only" if run.serves and Phase.SERVING not in phases else ""


def _show_syscalls(run: Run) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    serving = set()
    for seen in run.syscalls:
        counts[seen.arch, seen.name] += seen.count
        if Phase.SERVING in seen.phases:
            serving.add((seen.arch, seen.name))
    titles = (("init only", counts.keys() - serving), ("serving", serving)) if serving else (("", counts.keys()),)
    for title, calls in titles:
        output.line()
        output.line(f"system calls{', ' if title else ''}{title} ({len(calls)})")
        output.line("  " + " ".join(_call(run, *call, counts[call]) for call in sorted(calls)))


def _call(run: Run, arch: str, name: str, count: int) -> str:
    return f"{name}({arch}) x{count}" if arch != run.host.arch else f"{name} x{count}"


def _show_capabilities(run: Run) -> None:
    output.line()
    output.line(f"capabilities ({len(run.capabilities)} checks)")
    output.table(
        [
            (
                "",
                seen.capability,
                "granted" if seen.granted else "refused",
                seen.namespace + (", probing" if seen.probing else ""),
                f"x{seen.count} in {seen.syscall or 'no call'} by {seen.executable}{_early(run, seen.phases)}",
            )
            for seen in run.capabilities
        ]
    )
