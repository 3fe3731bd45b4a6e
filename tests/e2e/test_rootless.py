"""An ordinary user without BPF: trace, profile and run, end to end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Victim
from tests.e2e.jobs import HARDEN, IN_PYTHON, PYTHON, SQLITE, Job, environment, harden

pytestmark = pytest.mark.requires("root", "nobody", "userns", "landlock", "seccomp-notify", "gcc")

NOBODY = 65534
BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
NAMES = (
    pytest.param("static"),
    pytest.param("sqlite3", marks=pytest.mark.requires("sqlite3")),
    pytest.param("python3", marks=pytest.mark.requires("python3")),
    pytest.param("shell"),
)
SHELL = Job(name="shell", command=("/bin/sh", "-c", "mkdir -p d; ls /etc > d/list; sort d/list | head -2 >&2; ./tool"))
JOBS = {job.name: job for job in (SQLITE, PYTHON, SHELL)}


@pytest.fixture
def own_folder() -> Iterator[Callable[[], Path]]:
    """Folders of the user's own, where every user can go."""
    made: list[str] = []

    def make() -> Path:
        made.append(tempfile.mkdtemp(prefix="harden-rootless-", dir="/var/tmp"))
        os.chown(made[-1], NOBODY, NOBODY)
        return Path(made[-1])

    yield make
    for name in made:
        shutil.rmtree(name)


def prepared(name: str, folder: Path, victim: Victim) -> Job:
    """The job, with what it needs in `folder`."""
    tool = folder / "tool"
    tool.write_text("#!/bin/sh\ntest -s d/list && echo whole\n")
    tool.chmod(0o755)
    if name != "static":
        return JOBS[name]
    (folder / "input").write_text("content\n")
    (folder / "target").mkdir()
    for made in ("input", "target"):
        os.chown(folder / made, NOBODY, NOBODY)
    program = folder / "static_files"
    shutil.copy(victim("static_files", static=True), program)
    return Job(name="static", command=(str(program), "input", "target"))


def as_nobody(*command: str, cwd: Path, statuses: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*BECOME, *command],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in statuses, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def recorded_run(folder: Path) -> dict[str, object]:
    (run,) = json.loads((folder / "job.recording.json").read_bytes())["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("name", NAMES)
def test_a_user_traces_and_runs(name: str, victim: Victim, own_folder: Callable[[], Path]) -> None:
    outside, inside = own_folder(), own_folder()
    bare = prepared(name, outside, victim)
    expected = as_nobody(*bare.command, cwd=outside)
    job = prepared(name, inside, victim)
    traced = as_nobody(str(IN_PYTHON), "trace", "--name", "job", "--", *job.command, cwd=inside)
    assert "recording by user notification" in traced.stderr
    assert traced.stdout == expected.stdout
    run = recorded_run(inside)
    assert run["gaps"] == []
    assert run["capabilities"] == []
    profile = tomllib.loads((inside / "job.profile.toml").read_text())
    assert "capabilities" not in profile["rights"]
    assert any("without results" in note for note in profile["generated"]["notes"])
    ran = as_nobody(str(IN_PYTHON), "run", cwd=inside)
    assert ran.stdout == expected.stdout
    assert job.result(inside) == bare.result(outside)


@pytest.mark.requires("strace")
@pytest.mark.parametrize("name", NAMES)
def test_no_call_that_strace_sees_is_missing(name: str, victim: Victim, own_folder: Callable[[], Path]) -> None:
    traced, straced = own_folder(), own_folder()
    job = prepared(name, traced, victim)
    as_nobody(str(IN_PYTHON), "trace", "--name", "job", "--backend=notify", "--", *job.command, cwd=traced)
    job = prepared(name, straced, victim)
    as_nobody("strace", "-f", "-qq", "-o", "log", "--", *job.command, cwd=straced)
    seen = re.findall(r"^\d+ +([a-z_0-9]+)\(", (straced / "log").read_text(errors="replace"), re.MULTILINE)
    # The first line is strace's own execve of the program.
    assert seen.pop(0) == "execve"
    calls = recorded_run(traced)["syscalls"]
    assert isinstance(calls, list)
    assert set(seen) - {call["name"] for call in calls} == set()
    assert len(set(seen)) > 5


def test_a_user_is_told_when_bpf_was_asked_for(own_folder: Callable[[], Path]) -> None:
    done = as_nobody(str(IN_PYTHON), "trace", "--backend=bpf", "--", "/bin/true", cwd=own_folder(), statuses=(125,))
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    assert "--backend=notify" in done.stderr


def test_doctor_says_which_backends_work(own_folder: Callable[[], Path]) -> None:
    for command, bpf in (((str(HARDEN),), True), ((*BECOME, str(IN_PYTHON)), False)):
        done = subprocess.run(
            [*command, "doctor", "--json"], cwd="/", env=environment(), capture_output=True, text=True, check=False
        )
        found = {each["feature"]: each for each in json.loads(done.stdout)}
        assert found["seccomp-notify"]["works"]
        assert (found["bpf-recorder"]["works"], found["bpf-recorder"]["required"]) == (bpf, False)


def test_what_is_run_is_what_was_recorded_by_root_too(tmp_path: Path) -> None:
    script = "echo hello > file; cat file; rm file"
    for options in (("--backend=notify",), ("--backend=notify", "--one-cpu")):
        harden("trace", "--name", "job", *options, "--", "/bin/sh", "-c", script, cwd=tmp_path)
        assert harden("run", "-p", "job.profile.toml", cwd=tmp_path).stdout == "hello\n"
    recorders = {run["host"]["recorder"] for run in json.loads((tmp_path / "job.recording.json").read_bytes())["runs"]}
    assert len(recorders) == 2
    assert sum("one CPU" in recorder for recorder in recorders) == 1


def test_one_cpu_is_for_user_notification(tmp_path: Path) -> None:
    done = harden("trace", "--one-cpu", "--", "/bin/true", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "--backend=notify" in done.stderr
