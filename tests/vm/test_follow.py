"""A guest that hangs is ended and told from one that ends; here the machine is a shell, which takes no time to boot."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.vm.follow import Follower
from tests.vm.machine import Machine

START = '{"start": "tests/test_it.py::test_it"}'
END = '{"report": {"nodeid": "tests/test_it.py::test_it", "when": "teardown"}}'
SILENCE_S = 0.5
HANG = "exec sleep 600"


def follow(folder: Path, script: str) -> tuple[Follower, list[str], Machine]:
    """Run `script` as the guest until it is given up: what it reported, and the machine, which is still to be ended."""
    reports = folder / "reports.jsonl"
    reports.touch()
    machine = Machine(["sh", "-c", script, "guest", str(reports)], log=folder / "console.log")
    seen: list[str] = []
    with machine:
        follower = Follower(machine, reports, silence_s=SILENCE_S)
        deadline = time.monotonic() + 60
        while not follower.problem and time.monotonic() < deadline:
            seen += [line.get("start") or line["report"]["when"] for line in follower.new_lines()]
            time.sleep(0.01)
        follower.close()
        assert machine.is_over() == ("ended" in follower.problem)
    return follower, seen, machine


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([], "the guest hung: no test was under way for 0.5 s"),
        ([START], "the guest hung: tests/test_it.py::test_it was under way for 0.5 s"),
        ([START, END], "the guest hung: no test was under way for 0.5 s"),
    ],
)
def test_a_silent_guest_is_given_up_and_killed(tmp_path, said, problem):
    script = "".join(f"echo '{line}' >>$1; " for line in said)
    follower, seen, machine = follow(tmp_path, f"{script}{HANG}")
    assert follower.problem == problem
    assert len(seen) == len(said)
    assert machine.process.returncode == -9
    with pytest.raises(ProcessLookupError):
        os.kill(machine.process.pid, 0)


def test_half_a_line_is_no_report(tmp_path):
    follower, seen, _ = follow(tmp_path, f"printf '{START[:20]}' >>$1; {HANG}")
    assert (seen, follower.problem) == ([], "the guest hung: no test was under way for 0.5 s")


def test_a_guest_that_keeps_reporting_is_not_silent(tmp_path):
    script = f"for i in 1 2 3 4 5 6; do echo '{START}' >>$1; sleep 0.25; done"
    follower, seen, _ = follow(tmp_path, script)
    assert follower.problem == "the guest ended while tests/test_it.py::test_it ran"
    assert len(seen) == 6


def test_a_guest_that_ends_is_not_said_to_hang(tmp_path):
    follower, seen, machine = follow(tmp_path, f"echo '{START}' >>$1; echo '{END}' >>$1; exit 3")
    assert follower.problem == "the guest ended"
    assert len(seen) == 2
    assert machine.process.returncode == 3
