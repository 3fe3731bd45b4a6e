"""What ends a command: every problem is one line and a status, never a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

HARDEN = str(ROOT / ".venv/bin/harden")


def harden(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HARDEN, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_command_shows_the_help_in_lines(tmp_path: Path) -> None:
    done = harden(cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage: harden" in done.stdout.splitlines()[0]
    assert len(done.stdout.splitlines()) > 10


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{HARDEN} | true; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.strip() in ("0", "141")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "soon"])
def test_a_timeout_is_an_amount_of_time(seconds: str, tmp_path: Path) -> None:
    done = harden("trace", "--timeout", seconds, "--", "/bin/true", cwd=tmp_path)
    assert done.returncode == 125
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    name = "x\x1b]0;owned\x07\nharden: all good"
    done = harden("show", f"{name}.profile.toml", cwd=tmp_path)
    assert done.returncode == 125
    assert "\x1b" not in done.stderr
    assert "\nharden: all good" not in done.stderr


def test_an_unforeseen_problem_is_one_line(tmp_path: Path) -> None:
    """A folder that is removed below the command is such a problem: the interpreter itself cannot name it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["bash", "-c", f"rmdir {gone}; exec {HARDEN} trace -- /bin/true"],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 125
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("harden: ")


UNWRITABLE = ["2>/dev/full", "2>&-", ">/dev/full 2>/dev/full", ">&- 2>&-", "2>/dev/full </dev/full"]


@pytest.mark.parametrize("streams", UNWRITABLE)
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("run -p none.profile.toml", 125),
        ("run --no-such-option", 125),
        ("trace -- /no/such/program", 127),
        ("trace -- /etc/passwd", 126),
        ("check none.profile.toml", 2),
        ("diff none.profile.toml none.profile.toml", 2),
        ("show none.recording.json", 125),
    ],
)
def test_the_status_is_right_where_nothing_can_be_said(command: str, status: int, streams: str, tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-c", f"{HARDEN} {command} {streams}"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


@pytest.mark.parametrize(("command", "status"), [("--help", 125), ("check --help", 2), ("doctor --help", 125)])
def test_a_result_that_cannot_be_written_is_no_success(command: str, status: int, tmp_path: Path) -> None:
    line = f"{HARDEN} {command} >/dev/full"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert line.startswith("harden: ")
    assert line.endswith("No space left on device")


@pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")
@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-"])
def test_a_program_runs_where_harden_can_say_nothing(streams: str, tmp_path: Path) -> None:
    for command in ("trace --name app -- /bin/sh -c 'echo out; exit 7'", "run", "run", "run --env A=1"):
        line = f"{HARDEN} {command} {streams}"
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (7, "out\n"), command
