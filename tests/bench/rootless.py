"""What recording costs without BPF: beside bare, beside the barest listener, and below strace -f in every row."""

from __future__ import annotations

from pathlib import Path

from tests.bench.measure import Measure, printed_by
from tests.bench.recording import workloads
from tests.bench.row import FEW_TURNS, Bar, Row
from tests.bench.tracers import BY_NOTIFICATION, ON_ONE_CPU, STRACE
from tests.conftest import compile_victim

__all__ = ["rootless_rows"]

_GETPPID = Bar(30.0)


def rootless_rows(folder: Path, spin: str, bare_spin: Measure) -> list[Row]:
    """The rows of user notification; `spin` prints what one getppid takes, `bare_spin` is that figure alone."""
    command = [spin, "100000"]
    recorded = printed_by(*BY_NOTIFICATION.command(command), cwd=folder)
    one_cpu = printed_by(*ON_ONE_CPU.command(command), cwd=folder)
    least = printed_by(str(compile_victim("listen_all", static=True)), *command, cwd=folder)
    return [
        Row("getppid, user notification", "bare", recorded, bare_spin, _GETPPID),
        Row("getppid, user notification, one CPU", "bare", one_cpu, bare_spin, _GETPPID),
        Row("getppid, user notification", "the barest listener", recorded, least),
        *_beside_strace(folder),
    ]


def _beside_strace(folder: Path) -> list[Row]:
    """Times are below strace's, and rates above."""
    return [
        Row(f"{what}, {BY_NOTIFICATION.name}", STRACE.name, figure(BY_NOTIFICATION), figure(STRACE),
            Bar(1.0, least=bar.least), FEW_TURNS)
        for what, bar, figure in workloads(folder)
    ]  # fmt: skip
