"""Scenarios: several make several runs, perturbations make one more each, and --redact masks what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harden.model.scenario import Perturbation
from tests.e2e.disturbed import runs_of, server_scenario
from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "python3", "gcc")

CLIENT = "import socket; socket.create_connection(('127.0.0.1', 9000), 2).recv(1)"
SCENARIO = server_scenario(CLIENT)


def own(run: Any, folder: Path) -> tuple[set[str], set[str]]:
    """Which of the calls and files that tell disturbances apart a run has."""
    calls = {seen["name"] for seen in run["syscalls"]} & {"getpgid", "uname", "times", "sysinfo"}
    files = {Path(seen["path"]).name for seen in run["files"] if Path(seen["path"]).parent == folder}
    return calls, files & {"page", "reloaded", "rotated"}


@pytest.mark.parametrize(
    ("perturbation", "calls", "files"),
    [
        ("reload", set(), {"reloaded"}),
        ("signals", set(), {"reloaded", "rotated"}),
        ("emfile", {"sysinfo"}, set()),
        ("stdio-pipe", {"times"}, set()),
        ("stdio-terminal", {"uname"}, set()),
    ],
)
def test_each_perturbation_shows_what_it_is_for(tmp_path, victim, perturbation, calls, files):
    for name in ("page", "reloaded", "rotated"):
        (tmp_path / name).touch()
    (tmp_path / "s.toml").write_text(SCENARIO.replace("PERTURBATION", perturbation))
    harden("trace", "--name", "app", "--scenario", "s.toml", "--", str(victim("disturbed")), "9000", cwd=tmp_path)
    runs = runs_of(tmp_path)
    assert set(runs) == {"", perturbation}
    assert own(runs[""], tmp_path) == ({"getpgid"}, {"page"})
    assert own(runs[perturbation], tmp_path) == ({"getpgid"} | calls, {"page"} | files)
    assert [run["gaps"] for run in runs.values()] == [[], []]


def test_a_signal_that_would_end_the_program_is_not_sent(tmp_path):
    scenario = SCENARIO.replace("PERTURBATION", "reload").replace("{ port = 9000 }", "{ seconds = 0 }")
    (tmp_path / "s.toml").write_text(scenario.split("[[step]]")[0] + "[[step]]\nstop = { }\n")
    done = harden("trace", "--name", "app", "--scenario", "s.toml", "--", "/bin/sleep", "60", cwd=tmp_path, check=False)
    assert "the program catches no such signal: nothing was sent" in done.stderr
    assert {run["status"]["signal"] for run in json.loads((tmp_path / "app.recording.json").read_bytes())["runs"]} == {
        15
    }


def test_an_unknown_perturbation_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "s.toml").write_text(SCENARIO.replace("PERTURBATION", "earthquake"))
    done = harden("trace", "--scenario", "s.toml", "--", "/bin/true", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "earthquake" in done.stderr
    assert f"hint: known are {', '.join(Perturbation)}" in done.stderr


def test_several_scenarios_are_several_runs_of_one_recording(tmp_path):
    for name, path in (("one", "/etc/hostname"), ("two", "/etc/passwd")):
        (tmp_path / f"{name}.toml").write_text(f'format = "harden-scenario/1"\ncommand = ["/bin/cat", "{path}"]\n')
    done = harden("trace", "--name", "app", "--scenario", "one.toml", "--scenario", "two.toml", cwd=tmp_path)
    assert "2 runs saw" in done.stderr
    runs = json.loads((tmp_path / "app.recording.json").read_bytes())["runs"]
    assert sorted((run["workload"]["scenario"], run["workload"]["argv"][1]) for run in runs) == [
        ("one.toml", "/etc/hostname"),
        ("two.toml", "/etc/passwd"),
    ]
    profile = (tmp_path / "app.profile.toml").read_text()
    assert "/etc/hostname" in profile
    assert "/etc/passwd" in profile


def test_what_matches_a_redaction_is_masked_everywhere(tmp_path):
    (tmp_path / "customer-4711").write_text("x\n")
    command = ("/bin/cat", "customer-4711")
    done = harden("trace", "--name", "app", "--redact", "customer-[0-9]+", "--", *command, cwd=tmp_path)
    written = (tmp_path / "app.recording.json").read_text() + (tmp_path / "app.profile.toml").read_text()
    assert "4711" not in written + done.stderr
    assert "[masked]" in written
    harden("trace", "--name", "twin", "--", *command, cwd=tmp_path)
    assert "4711" in (tmp_path / "twin.recording.json").read_text()


@pytest.mark.parametrize("pattern", ["(", "x*"])
def test_a_redaction_that_is_no_pattern_or_masks_everything_is_refused(tmp_path, pattern):
    done = harden("trace", "--redact", pattern, "--", "/bin/true", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert f"--redact {pattern!r}" in done.stderr
