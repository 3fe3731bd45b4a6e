"""System calls, counts and executables, against strace and against programs whose calls are known."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harden.model.arch import Arch
from harden.model.recording import Completeness, Run
from harden.trace import Recorder
from tests.kernel.recorded import cgroup, gated, record, run_of

pytestmark = pytest.mark.requires("root", "gcc", "x86_64")

CAUSED_BY_STRACE = {"futex", "restart_syscall"}
"""Slow threads wait for each other where fast ones do not; attaching interrupts calls."""


def counts(run: Run, program: Path) -> dict[str, int]:
    return {call.name: call.count for call in run.syscalls if call.executable == str(program)}


def strace_names(tmp_path: Path, command: list[str]) -> set[str]:
    """The names that strace prints; its own execve of the program is not the program's."""
    log = tmp_path / "strace"
    null = subprocess.DEVNULL
    subprocess.run(["strace", "-f", "-o", log, *command], check=True, stdin=null, stdout=null, cwd=tmp_path)
    lines = re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", log.read_text(), re.MULTILINE)
    lines.remove("execve")
    return set(lines)


@pytest.mark.requires("strace")
@pytest.mark.parametrize(
    "command",
    [
        ["/bin/ls", "-l", "/etc"],
        ["/bin/sh", "-c", "ls /etc | sort | head -3; /bin/true & wait; echo $(id)"],
        [sys.executable, "-c", "import subprocess, threading, ssl, json; subprocess.run(['/bin/true'])"],
        ["THREADS", "4", "50"],
        ["FORKS", "3", "/bin/true"],
        ["STATIC", "/etc/hostname", "FOLDER"],
    ],
    ids=lambda command: Path(command[0]).name,
)
def test_every_call_that_strace_sees_is_recorded(recorded, victim, tmp_path, command):
    programs = {
        "THREADS": victim("threads"),
        "FORKS": victim("forks"),
        "STATIC": victim("static_files", static=True),
        "FOLDER": tmp_path / "recorded",
    }
    (tmp_path / "recorded").mkdir()
    run = recorded(*(programs.get(word, word) for word in command), cwd=tmp_path)
    programs["FOLDER"] = tmp_path / "traced"
    (tmp_path / "traced").mkdir()
    expected = strace_names(tmp_path, [str(programs.get(word, word)) for word in command])
    assert expected - {call.name for call in run.syscalls} <= CAUSED_BY_STRACE
    assert run.completeness is Completeness.COMPLETE, run.gaps


def test_a_program_that_executes_nothing_has_no_execve(recorded):
    run = recorded("/bin/true")
    names = {call.name for call in run.syscalls}
    assert "exit_group" in names
    assert "execve" not in names
    assert [program.path for program in run.executables] == [str(Path("/bin/true").resolve())]


def test_calls_of_all_threads_are_counted(recorded, victim):
    program = victim("threads")
    run = recorded(program, 8, 1000)
    assert counts(run, program)["getppid"] == 8000
    assert counts(run, program)["uname"] == 1


def test_calls_of_a_thousand_short_lived_children_are_counted(recorded, victim):
    program = victim("forks")
    run = recorded(program, 1000)
    assert counts(run, program)["getppid"] == 1000
    assert counts(run, program)["exit_group"] == 1001
    assert run.gaps == ()


def test_a_spawned_program_has_its_own_calls(recorded, victim):
    program, inner = victim("forks"), victim("threads")
    # A working folder is shown even where the checkout is below /tmp, which is private.
    run = recorded(program, 3, inner, cwd=inner.parent)
    assert counts(run, inner)["exit_group"] == 3
    assert counts(run, program)["execve"] == 3
    assert "getppid" not in counts(run, program)
    assert {program_.path for program_ in run.executables} == {str(program), str(inner)}


@pytest.mark.requires("bpf", "cgroup2")
def test_failed_calls_have_their_errno():
    run = record("/bin/cat", "/nonexistent/file", expect=1)
    errors = next(call for call in run.syscalls if call.name == "openat").errors
    assert errors is not None
    assert errors["ENOENT"] >= 1
    assert all(call.arch is Arch.X86_64 for call in run.syscalls)


def test_arguments_are_masked_and_counted(recorded, victim):
    run = recorded(victim("many"), "ioctls", 5)
    seen = {entry.values: entry.count for entry in run.arguments if entry.name == "ioctl"}
    assert seen == {(0x10000 + index,): 1 for index in range(5)}


@pytest.mark.requires("bpf", "cgroup2")
def test_counts_of_a_program_that_still_runs_are_taken(victim):
    with (
        cgroup() as folder,
        gated(folder, "/bin/sleep", 60) as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        process.open()
        while "nanosleep" not in Path(f"/proc/{process.process.pid}/wchan").read_text():
            assert process.process.poll() is None
        run = run_of(recorder.stop())
        process.process.send_signal(signal.SIGKILL)
        process.wait()
    assert counts(run, Path("/bin/sleep").resolve())["clock_nanosleep"] == 1


@pytest.mark.requires("bpf", "cgroup2")
def test_processes_that_never_execute_are_not_recorded(victim):
    with (
        cgroup() as folder,
        gated(folder, "/bin/true") as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        observations = recorder.stop()
        process.open()
        process.wait()
    assert observations.counts == {}
    assert observations.events == ()


@pytest.mark.requires("bpf", "cgroup2")
def test_two_recorders_do_not_see_each_other(victim):
    with (
        cgroup() as first_folder,
        cgroup() as second_folder,
        gated(first_folder, "/bin/true") as first,
        gated(second_folder, "/bin/cat", "/dev/null") as second,
        Recorder.attach(first_folder.stat().st_ino) as first_recorder,
        Recorder.attach(second_folder.stat().st_ino) as second_recorder,
    ):
        for process in (first, second):
            process.open()
        for process in (first, second):
            process.wait()
        runs = [run_of(recorder.stop()) for recorder in (first_recorder, second_recorder)]
    programs = [[Path(program.path).name for program in run.executables] for run in runs]
    assert programs == [["true"], ["cat"]]


@pytest.mark.requires("bpf", "cgroup2")
def test_a_descendant_cgroup_is_recorded(victim):
    with cgroup() as folder:
        inner = folder / "inner"
        inner.mkdir()
        try:
            with gated(inner, "/bin/true") as process, Recorder.attach(folder.stat().st_ino) as recorder:
                process.open()
                process.wait()
                run = run_of(recorder.stop())
        finally:
            inner.rmdir()
    assert [Path(program.path).name for program in run.executables] == ["true"]


def test_the_program_is_described_from_its_file(recorded):
    run = recorded("/bin/true")
    path = Path("/bin/true").resolve()
    (seen,) = run.executables
    digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert seen.digest == f"sha256:{digest}"
    assert Path(seen.interpreter).name.startswith("ld-linux")
    assert [Path(library).name for library in seen.libraries] == ["libc.so.6"]
    assert seen.argv0 == "/bin/true"


def test_a_script_is_its_own_executable(recorded, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/cat\nbody\n")
    script.chmod(0o755)
    run = recorded("./script", cwd=tmp_path)
    (seen,) = run.executables
    assert seen.path == str(script)
    assert seen.interpreter == str(Path("/bin/cat").resolve())


def test_what_a_mount_and_a_tracer_ask_for_is_recorded():
    script = "mount -t tmpfs none /mnt && mount -o bind /mnt /mnt && umount -l /mnt && umount /mnt"
    run = record("/usr/bin/unshare", "--mount", "/bin/sh", "-c", script)
    seen = {(entry.name, entry.values) for entry in run.arguments}
    assert {("mount", (0x1000,)), ("umount2", (2,)), ("umount2", (0,))} <= seen
    traced = record("/usr/bin/strace", "-o", "/dev/null", "/bin/true")
    assert ("ptrace", (0x4206,)) in {(entry.name, entry.values) for entry in traced.arguments}
