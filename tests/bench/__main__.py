"""`make bench`: what harden costs, each figure beside what it is compared with, taken in turns in one run.

Only the ratios mean something: they are the medians of pairs measured one after the other. The figures are kept in
build/bench.json. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harden.render.profile_toml import render_profile
from tests import recordings
from tests.bench.measure import Measure, printed_by, seconds_of
from tests.bench.recording import recording_rows
from tests.bench.rootless import rootless_rows
from tests.bench.row import Bar, Row
from tests.conftest import ROOT, compile_victim
from tests.e2e.jobs import HARDEN, environment, harden

SPINS = 2_000_000


def traced_neighbour(spin: str, folder: Path) -> Measure:
    """The figure of a process outside the sandbox, while something is recorded."""

    def measure() -> float:
        argv = [str(HARDEN), "trace", "--name", "idle", "--", "/bin/sh", "-c", "echo up; exec sleep 60"]
        with subprocess.Popen(
            argv, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as recorder:
            assert recorder.stdout
            assert recorder.stdout.readline() == b"up\n"
            figure = printed_by(spin, str(SPINS), cwd=folder)()
            recorder.terminate()
        return figure

    return measure


def rows(folder: Path) -> list[Row]:
    """Each row: what is measured, what it is compared with, and how to take both figures."""
    spin = str(compile_victim("spin", static=True))
    python, true = sys.executable, "/bin/true"
    for name, command in (("true", (true,)), ("spin", (spin, str(SPINS)))):
        harden("trace", "--name", name, "--", *command, cwd=folder)
    profile = render_profile(recordings.small_profile())
    for name, count in (("one", 1), ("many", 200)):
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"p{number}.profile.toml").write_bytes(profile)
    check = (str(HARDEN), "check", "--policy", "strict")
    bare_spin = printed_by(spin, str(SPINS), cwd=folder)
    one = seconds_of(*check, cwd=folder / "one", statuses=(0, 1))
    many = seconds_of(*check, cwd=folder / "many", statuses=(0, 1))
    run = printed_by(str(HARDEN), "run", "-p", "spin.profile.toml", cwd=folder)
    return [
        Row("2 M getppid beside a recording", "bare", traced_neighbour(spin, folder), bare_spin),
        Row("2 M getppid, harden run", "bare", run, bare_spin),
        Row(
            "harden check, 1 profile", "bare Python", one, seconds_of(python, "-I", "-c", "pass", cwd=folder), Bar(10.0)
        ),
        Row("harden check, 200 profiles", "1 profile", many, one, Bar(20.0)),
        *recording_rows(folder),
        *rootless_rows(folder, spin, bare_spin),
    ]


def starts(folder: Path) -> list[dict[str, object]]:
    """The rows of tests.bench.start, which wants a mount namespace of its own."""
    result = folder / "starts.json"
    bench = ["unshare", "--mount", sys.executable, "-m", "tests.bench.start", str(folder), str(result)]
    subprocess.run(bench, cwd=ROOT, env=environment(), check=True)
    found: list[dict[str, object]] = json.loads(result.read_text())["rows"]
    return found


def main() -> None:
    report: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="harden-bench-") as name:
        for row in rows(Path(name)):
            pairs = [(row.ours(), row.theirs()) for _ in range(row.turns)]
            ratio = statistics.median(mine / other for mine, other in pairs)
            found = {"what": row.what, "beside": row.beside, "ratio": round(ratio, 2), "pairs": pairs}
            report.append(found | ({"bar": str(row.bar)} if row.bar else {}))
            verdict = row.bar.verdict(ratio) if row.bar else ""
            print(f"{row.what:60} {ratio:8.2f} x {row.beside:12} {verdict}", flush=True)
        report += starts(Path(name))
    target = ROOT / "build/bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"kernel": os.uname().release, "rows": report}, indent=1) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
