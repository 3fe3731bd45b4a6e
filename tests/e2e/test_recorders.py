"""`harden trace` beside another one, and one that is killed: nothing runs unrecorded, nothing is recorded twice."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.e2e.jobs import DEADLINE_S, HARDEN, IN_PYTHON, environment
from tests.files_by_links import prepare

pytestmark = pytest.mark.requires("root", "landlock", "seccomp")

NOBODY = 65534
BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
AS_ROOT, AS_USER = (), BECOME


@pytest.fixture(
    params=[
        pytest.param((AS_ROOT, "bpf"), marks=pytest.mark.requires("bpf", "cgroup2", "overlay", "idmap"), id="bpf"),
        pytest.param(
            (AS_ROOT, "notify"), marks=pytest.mark.requires("seccomp-notify", "overlay", "idmap"), id="notify"
        ),
        pytest.param((AS_USER, "notify"), marks=pytest.mark.requires("nobody", "userns", "seccomp-notify"), id="user"),
    ]
)
def trace(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command that records with each backend in turn."""
    become, backend = request.param
    return (*become, str(IN_PYTHON if become else HARDEN), "trace", f"--backend={backend}")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the user nobody, where every user can go."""
    name = tempfile.mkdtemp(prefix="harden-recorders-", dir="/var/tmp")
    os.chown(name, NOBODY, NOBODY)
    Path(name).chmod(0o755)
    yield Path(name)
    shutil.rmtree(name)


@contextmanager
def tracing(trace: tuple[str, ...], folder: Path, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A trace of a shell script that has written "up"."""
    argv = [*trace, "--name", "app", "--", "/bin/sh", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=folder, env=environment(), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield process
        finally:
            process.kill()


def processes_with(argument: str) -> list[int]:
    """Ids of processes that have this argument."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if argument.encode() in words:
                found.append(int(folder.name))
    return found


@pytest.mark.sees("a recorder that is killed")
def test_the_program_ends_with_a_recorder_that_is_killed(trace, place):
    marker = f"600.{os.getpid()}"
    with tracing(trace, place, f"/bin/sleep {marker} & echo up; wait") as recorder:
        sleepers: list[int] = []
        while not sleepers:
            sleepers = [pid for pid in processes_with(marker) if "sleep" in os.readlink(f"/proc/{pid}/exe")]
        (sleeper,) = map(os.pidfd_open, sleepers)
        try:
            assert select.select([sleeper], [], [], 0)[0] == []
            recorder.send_signal(signal.SIGKILL)
            assert select.select([sleeper], [], [], DEADLINE_S)[0] == [sleeper]
        finally:
            os.close(sleeper)
    assert not (place / "app.profile.toml").exists()


def test_two_traces_of_one_name_add_to_one_recording(trace, place):
    with tracing(trace, place, "echo up; read go") as outer:
        with tracing(trace, place, "echo up; read go; read more") as inner:
            assert inner.stdin is not None
            inner.stdin.close()
            inner.wait(DEADLINE_S)
        assert outer.stdin is not None
        outer.stdin.close()
        outer.wait(DEADLINE_S)
    assert len(json.loads((place / "app.recording.json").read_text())["runs"]) == 2


@pytest.mark.sees("two traces at once")
def test_two_traces_at_once_do_not_see_each_other(trace, place):
    read = {"one": "/etc/hostname", "two": "/etc/passwd"}
    with (
        tracing(trace, folder_of(place, "one"), f"echo up; read go; /bin/cat {read['one']}") as one,
        tracing(trace, folder_of(place, "two"), f"echo up; read go; /usr/bin/wc {read['two']}") as two,
    ):
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert [process.wait(DEADLINE_S) for process in (one, two)] == [0, 0]
    seen = {name: paths_of(place / name) for name in read}
    assert [(read[name] in seen["one"], read[name] in seen["two"]) for name in read] == [(True, False), (False, True)]
    assert [path for path in ("/usr/bin/cat", "/usr/bin/wc") if path in seen["one"]] == ["/usr/bin/cat"]
    assert [path for path in ("/usr/bin/cat", "/usr/bin/wc") if path in seen["two"]] == ["/usr/bin/wc"]


def folder_of(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def paths_of(folder: Path) -> set[str]:
    (run,) = json.loads((folder / "app.recording.json").read_bytes())["runs"]
    assert run["gaps"] == []
    return {seen["path"] for seen in run["files"] if seen.get("result", "ok") in ("ok", "unknown")}


@pytest.mark.requires("gcc")
def test_what_links_of_proc_lead_to_is_granted(trace, place, victim):
    """Under the profile the program opens by the same links what it opened when it was traced."""
    program = shutil.copy(victim("magic_links", static=True), place / "program")
    folder = prepare(folder_of(place, "files"))
    folder.chmod(0o777)
    for path in folder.rglob("*"):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    through(trace, place, program, folder)


@pytest.mark.requires("gcc")
def test_a_script_that_is_given_by_a_descriptor_is_granted(trace, place, victim):
    program = shutil.copy(victim("by_descriptor", static=True), place / "program")
    script = place / "script"
    script.write_text("#!/bin/sh\necho it ran\n")
    script.chmod(0o755)
    assert through(trace, place, program, script, "empty") == "it ran\n"


def test_a_file_that_is_a_standard_stream_is_granted_by_its_own_name(trace, place):
    (place / "data").write_text("content\n")
    with (place / "data").open() as data:
        assert through(trace, place, "/bin/cat", "/dev/stdin", stdin=data) == "content\n"


def through(trace: tuple[str, ...], folder: Path, *command: object, stdin: IO[str] | None = None) -> str:
    """What `command` writes in `folder` under the profile that its trace made."""
    written = []
    for words in ([*trace, "--name", "app", "--", *map(str, command)], [*trace[:-2], "run"]):
        if stdin:
            stdin.seek(0)
        done = subprocess.run(
            words, cwd=folder, env=environment(), stdin=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        written.append(done.stdout)
    assert written[0] == written[1]
    return written[1]
