"""What recording costs without BPF: beside the bare program where it prints its own figure, else beside strace -f."""

from __future__ import annotations

from pathlib import Path

from tests.bench.measure import Measure, printed_by, seconds_of
from tests.bench.row import FEW_TURNS, Bar, Row
from tests.e2e.jobs import HARDEN

__all__ = ["rootless_rows"]


BELOW_STRACE = Bar(1.0)


def rootless_rows(folder: Path, spin: str, bare_spin: Measure) -> list[Row]:
    """The rows of user notification; `spin` prints what one getppid takes, `bare_spin` is that figure alone."""
    record = (str(HARDEN), "trace", "--backend=notify", "--force", "--name", "rootless")
    strace = ("strace", "-f", "-o", "/dev/null")
    copy = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=100000", "status=none")
    short = ("/bin/sh", "-c", "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done")
    recorded = printed_by(*record, "--", spin, "100000", cwd=folder)
    straced = printed_by(*strace, spin, "50000", cwd=folder)
    return [
        Row("getppid, user notification", "bare", recorded, bare_spin, Bar(30.0)),
        Row("getppid, user notification, one CPU", "bare",
            printed_by(*record, "--one-cpu", "--", spin, "100000", cwd=folder), bare_spin, Bar(30.0)),
        Row("getppid, user notification", "strace -f", recorded, straced, BELOW_STRACE, FEW_TURNS),
        Row("200 k read and write, user notification", "strace -f",
            seconds_of(*record, "--", *copy, cwd=folder), seconds_of(*strace, *copy, cwd=folder), BELOW_STRACE,
            FEW_TURNS),
        Row("300 processes, user notification", "strace -f",
            seconds_of(*record, "--", *short, cwd=folder), seconds_of(*strace, *short, cwd=folder), BELOW_STRACE),
    ]  # fmt: skip
