"""`harden trace` on a terminal: keys, job control, size and status are the program's, while it is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harden.folder import load_recording
from tests.e2e.jobs import HARDEN
from tests.terminals import Terminal, status, stop_and_go_on

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path) as at:
        yield at


def trace(folder: Path, script: str) -> str:
    return f"{HARDEN} trace --out {folder}/out --name app -- /bin/sh -c '{script}' 2>{folder}/said"


def test_a_key_ends_the_program_and_the_recording_is_written(terminal: Terminal, tmp_path: Path) -> None:
    terminal.line(trace(tmp_path, "echo up; exec sleep 100"), "up\n")
    terminal.type("\x03")
    terminal.read_until("@ ")
    assert status(terminal) == "130"
    (run,) = load_recording(tmp_path / "out/app.recording.json").runs
    assert run.status.signal == 2


def test_it_stops_and_goes_on_and_ends_with_its_own_status(terminal: Terminal, tmp_path: Path) -> None:
    before = stop_and_go_on(terminal, trace(tmp_path, "echo up; read line; echo got $line; exit 7"))
    assert status(terminal) == "7"
    assert terminal.line("stty -g") == before
    (run,) = load_recording(tmp_path / "out/app.recording.json").runs
    assert (run.status.exit_status, run.status.signal) == (7, None)


def test_the_size_of_the_window_follows(terminal: Terminal, tmp_path: Path) -> None:
    terminal.resize(33, 77)
    script = 'stty size; trap "stty size; exit 0" WINCH; echo up; while :; do sleep 0.05; done'
    assert "33 77\n" in terminal.line(trace(tmp_path, script), "up\n")
    terminal.resize(44, 88)
    assert "44 88\n" in terminal.read_until("@ ")
    assert status(terminal) == "0"


def test_a_program_that_is_not_there(terminal: Terminal, tmp_path: Path) -> None:
    terminal.line(f"{HARDEN} trace --out {tmp_path}/out -- /no/such/program 2>/dev/null")
    assert status(terminal) == "127"
    assert not (tmp_path / "out/program.recording.json").exists()
