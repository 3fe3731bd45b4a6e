"""What ends a command: every problem is one line and a status, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROFILE = ROOT / "profiles/shipped/redis/redis.profile.toml"
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


@pytest.mark.parametrize(
    ("command", "status"),
    [
        *(("--help", 125), ("check --help", 2), ("doctor --help", 125)),
        *(("show app.profile.toml", 125), ("show app.profile.toml --json", 125), ("check app.profile.toml", 2)),
        *(("diff app.profile.toml app.profile.toml", 2), ("export --format capabilities app.profile.toml", 125)),
    ],
)
def test_a_result_that_cannot_be_written_is_no_success(command: str, status: int, tmp_path: Path) -> None:
    shutil.copy(PROFILE, tmp_path / "app.profile.toml")
    line = f"{HARDEN} {command} >/dev/full"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    problem, hint = (each for each in done.stderr.splitlines() if "cannot express" not in each)
    assert problem == "harden: write(stdout): ENOSPC (No space left on device)"
    assert hint == "hint: the result is not whole: make room, or write elsewhere"


@pytest.mark.parametrize("command", ["trace --name NAME -- true", "run -p NAME.profile.toml"])
def test_a_name_that_leaves_no_room_for_a_suffix_is_refused(command: str, tmp_path: Path) -> None:
    done = harden(*command.replace("NAME", "ä" * 101).split(), cwd=tmp_path)
    assert done.returncode == 125
    problem, hint = done.stderr.splitlines()
    assert problem == f"harden: profile name '{'ä' * 20}'… has more than 200 bytes"
    assert hint == "hint: give a shorter one with --name"
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_fails_unforeseen_names_its_file_and_errno(tmp_path: Path) -> None:
    done = harden("explain", f"{'d' * 300}/app.profile.toml", "read", cwd=tmp_path)
    assert done.returncode == 125
    problem, hint = done.stderr.splitlines()
    assert problem == f"harden: '{'d' * 300}/app.recording.json': ENAMETOOLONG (File name too long)"
    assert hint == "hint: HARDEN_DEBUG=1 shows which call that was"


def test_want_of_memory_is_no_bug(tmp_path: Path) -> None:
    """At some amounts the interpreter or an extension fails in another way (SystemError): most are told as they are."""
    shutil.copy(PROFILE, tmp_path / "app.profile.toml")
    told = []
    for kib in range(20_000, 50_000, 5_000):
        line = f"ulimit -v {kib}; exec {HARDEN} run --plan -p app.profile.toml"
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (125, False)
        told.append([each.partition(":")[2] for each in done.stderr.splitlines()])
    short = [each for each in told if each[0].startswith(" memory is short")]
    assert len(short) >= len(told) - 1
    assert {each[1] for each in short} == {" raise what limits it (`ulimit -v`, a cgroup's memory.max), or free some"}


@pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")
@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-"])
def test_a_program_runs_where_harden_can_say_nothing(streams: str, tmp_path: Path) -> None:
    for command in ("trace --name app -- /bin/sh -c 'echo out; exit 7'", "run", "run", "run --env A=1"):
        line = f"{HARDEN} {command} {streams}"
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (7, "out\n"), command
