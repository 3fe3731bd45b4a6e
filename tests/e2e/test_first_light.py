"""Trace, profile and run, end to end, on real programs: nothing missed, nothing invented, and the job still done."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Victim
from tests.e2e.jobs import HARDEN, JOBS, Job, environment, harden, perform, run_in_network_of, started, trace

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

NAMES = (*(job.name for job in JOBS), "static")


@pytest.fixture(scope="session")
def job_named(victim: Victim) -> Callable[[str, Path], Job]:
    """A job by name, ready to be performed in a folder."""
    by_name = {job.name: job for job in JOBS}

    def find(name: str, folder: Path) -> Job:
        if name != "static":
            return by_name[name]
        (folder / "input").write_text("content\n")
        (folder / "target").mkdir(exist_ok=True)
        return Job(name="static", command=(str(victim("static_files", static=True)), "input", "target"))

    return find


@pytest.fixture(scope="session")
def traced(
    tmp_path_factory: pytest.TempPathFactory, job_named: Callable[[str, Path], Job]
) -> Callable[[str], tuple[Job, Path]]:
    """Trace a job once per session; gives the job and the folder with its recording and profile."""
    done: dict[str, tuple[Job, Path]] = {}

    def get(name: str) -> tuple[Job, Path]:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            job = job_named(name, folder)
            trace(job, folder)
            done[name] = job, folder
        return done[name]

    return get


def needs(name: str) -> pytest.MarkDecorator:
    features = next((job.features for job in JOBS if job.name == name), ())
    return pytest.mark.requires(*features)


def each_job(function: Callable[..., None]) -> Callable[..., None]:
    marked: Callable[..., None] = pytest.mark.parametrize(
        "name", [pytest.param(name, marks=needs(name)) for name in NAMES]
    )(function)
    return marked


def recorded_calls(folder: Path) -> set[str]:
    recording = json.loads((folder / "job.recording.json").read_bytes())
    return {seen["name"] for run in recording["runs"] for seen in run["syscalls"]}


def straced_calls(job: Job, folder: Path) -> set[str]:
    """What strace sees of the same job, in a network namespace of its own."""
    log = folder / "strace.log"
    argv = [
        "unshare",
        "-n",
        "--",
        "sh",
        "-c",
        'ip link set lo up && exec strace -f -qq -o "$0" -- "$@"',
        str(log),
        *job.command,
    ]
    if job.port is None:
        subprocess.run(argv, cwd=folder, env=environment(), capture_output=True, check=True, timeout=60)
    else:
        with started(argv, cwd=folder, port=job.port) as (server, pid):
            for command in job.drive:
                run_in_network_of(pid, command)
            os.kill(_first_traced(log), signal.Signals[f"SIG{job.stop}"])
            server.wait(60)
    return set(re.findall(r"^\d+ +([a-z_0-9]+)\(", log.read_text(errors="replace"), re.MULTILINE))


def _first_traced(log: Path) -> int:
    return int(log.read_text(errors="replace").split(maxsplit=1)[0])


@pytest.mark.requires("strace")
@each_job
def test_no_call_that_strace_sees_is_missing(
    name: str, traced: Callable[[str], tuple[Job, Path]], job_named: Callable[[str, Path], Job], tmp_path: Path
) -> None:
    _, folder = traced(name)
    straced = straced_calls(job_named(name, tmp_path), tmp_path)
    # strace's first line is the execve by which it starts the program: its own, not the program's.
    missing = straced - recorded_calls(folder) - {"execve"}
    assert len(straced) > 5
    assert not missing


@each_job
def test_recording_is_complete(name: str, traced: Callable[[str], tuple[Job, Path]]) -> None:
    recording = json.loads((traced(name)[1] / "job.recording.json").read_bytes())
    assert [run["gaps"] for run in recording["runs"]] == [[]]


@each_job
def test_profile_grants_only_what_was_recorded_or_is_labelled(
    name: str, traced: Callable[[str], tuple[Job, Path]]
) -> None:
    _, folder = traced(name)
    rights = tomllib.loads((folder / "job.profile.toml").read_text())["rights"]
    runs = json.loads((folder / "job.recording.json").read_bytes())["runs"]
    assert set(rights["syscalls"]["observed"]) == recorded_calls(folder)
    assert set(rights.get("capabilities", {}).get("observed", [])) <= {
        seen["capability"] for run in runs for seen in run["capabilities"] if seen["granted"]
    }
    widened = tomllib.loads((folder / "job.profile.toml").read_text()).get("widened", {})
    seen_paths = {seen["path"] for run in runs for seen in run["files"]} | {run["workload"]["program"] for run in runs}
    for executable in (executable for run in runs for executable in run["executables"]):
        seen_paths |= {executable["path"], executable.get("interpreter", ""), *executable.get("libraries", ())}
    assert set(rights["files"]["observed"]) - set(widened) <= seen_paths
    assert {path for paths in widened.values() for path in paths} <= seen_paths


@each_job
def test_run_repeats_the_job_with_the_same_result(
    name: str, traced: Callable[[str], tuple[Job, Path]], job_named: Callable[[str, Path], Job], tmp_path: Path
) -> None:
    """The profile is moved beside a fresh folder's worth of files: outside and inside must agree."""
    _, folder = traced(name)
    outside = tmp_path / "outside"
    outside.mkdir()
    bare = job_named(name, outside)
    argv = list(bare.command)
    if bare.port is not None:
        argv = ["unshare", "-n", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *argv]
    expected = perform(bare, argv, outside)
    inside = perform(job_named(name, folder), [str(HARDEN), "run"], folder)
    assert inside == expected
    if bare.port is None and name != "static":
        assert expected


@pytest.mark.requires("strace")
def test_traced_program_leaves_the_host_alone(tmp_path: Path, victim: Victim) -> None:
    (tmp_path / "input").write_text("content\n")
    (tmp_path / "target").mkdir()
    job = Job(name="static", command=(str(victim("static_files", static=True)), "input", "target"))
    trace(job, tmp_path)
    assert list((tmp_path / "target").iterdir()) == []
    recording = json.loads((tmp_path / "job.recording.json").read_bytes())
    changed = {(change["path"], change["kind"]) for change in recording["runs"][0]["changes"]}
    assert {(str(tmp_path / "target/copy"), "created"), (str(tmp_path / "target/made/renamed"), "created")} <= changed
    # The positive twin: without the sandbox the same program does change the folder.
    subprocess.run(job.command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "target/made/renamed").exists()


@each_job
def test_probe_reports_refusals_and_a_positive_twin(name: str, traced: Callable[[str], tuple[Job, Path]]) -> None:
    _, folder = traced(name)
    report = json.loads(harden("probe", "--json", cwd=folder).stdout)
    results = {action["id"]: action for action in report["actions"]}
    refused = {
        "socket-netlink": {"EPERM"},
        "socket-packet": {"EPERM"},
        "ptrace-traceme": {"EPERM"},
        "io-uring": {"ENOSYS"},
        "bpf-map": {"EPERM"},
        "unshare-user": {"EPERM"},
        "mount": {"EPERM"},
        "keyring-find": {"EPERM"},
        "read-shadow": {"EACCES", "ENOENT"},
    }
    for action, errnos in refused.items():
        assert results[action]["result"] == "refused", (action, results[action])
        assert results[action]["errno"] in errnos, (action, results[action])
        assert results[action]["by"], action
    for twin in ("twin-getpid", "twin-time", "twin-memory"):
        assert results[twin]["result"] == "allowed", results[twin]
