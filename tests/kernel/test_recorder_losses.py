"""What is missing is said: limits, a full ring buffer, interfaces that hide what a program does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harden.model.recording import Completeness, GapKind
from harden.trace import Recorder, probe_recorder
from tests.kernel.recorded import cgroup, gated, run_of

pytestmark = pytest.mark.requires("root", "gcc", "x86_64")


@pytest.mark.requires("bpf", "cgroup2")
def test_too_many_argument_combinations_are_unknown_and_not_a_part(victim):
    with (
        cgroup() as folder,
        gated(folder, victim("many"), "ioctls", 9) as process,
        Recorder.attach(folder.stat().st_ino, combinations=8) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert [(entry.values, entry.count) for entry in run.arguments if entry.name == "ioctl"] == [(None, 9)]


@pytest.mark.requires("bpf", "cgroup2")
def test_as_many_combinations_as_allowed_are_kept(victim):
    with (
        cgroup() as folder,
        gated(folder, victim("many"), "ioctls", 8) as process,
        Recorder.attach(folder.stat().st_ino, combinations=8) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert len([entry for entry in run.arguments if entry.name == "ioctl"]) == 8


@pytest.mark.requires("bpf", "cgroup2")
def test_a_ring_buffer_that_nobody_reads_makes_the_recording_incomplete(victim):
    with (
        cgroup() as folder,
        gated(folder, victim("many"), "misses", 30000) as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        with recorder._lock:
            process.open()
            assert process.wait() == 0
        run = run_of(recorder.stop())
    gaps = {gap.kind: gap.count for gap in run.gaps}
    seen = sum(file.count for file in run.files if len(file.path) > 200)
    assert run.completeness is Completeness.INCOMPLETE
    assert gaps[GapKind.LOST_EVENTS] + seen == 30000


def test_a_burst_is_recorded_whole_while_the_ring_buffer_is_read(recorded, victim):
    run = recorded(victim("many"), "misses", 30000)
    assert sum(file.count for file in run.files if len(file.path) > 200) == 30000
    assert run.gaps == ()


@pytest.mark.sees("a program that is traced by ptrace")
def test_ptrace_makes_the_recording_opaque(recorded, tmp_path):
    run = recorded("/usr/bin/strace", "-o", tmp_path / "log", "/bin/true", cwd=tmp_path)
    assert GapKind.NESTED_PTRACE in {gap.kind for gap in run.gaps}
    assert run.completeness is Completeness.OPAQUE


def test_io_uring_makes_the_recording_opaque(recorded, victim):
    code = "import ctypes; b = ctypes.create_string_buffer(512); ctypes.CDLL(None).syscall(425, 4, b)"
    run = recorded(sys.executable, "-c", code)
    call = next(call for call in run.syscalls if call.name == "io_uring_setup")
    opaque = GapKind.IO_URING in {gap.kind for gap in run.gaps}
    assert opaque == (call.count > sum((call.errors or {}).values()))


def test_32_bit_calls_are_counted_with_their_own_numbers(recorded, victim):
    run = recorded(victim("compat"))
    foreign = {(call.arch, call.name) for call in run.syscalls if call.arch != "x86_64"}
    assert ("i386", "getpid") in foreign
    assert GapKind.FOREIGN_ARCH in {gap.kind for gap in run.gaps}


@pytest.mark.requires("bpf", "cgroup2")
def test_the_probe_finds_every_essential_program_working():
    states = probe_recorder()
    assert [state.program for state in states if state.essential and not state.works] == []
    assert any(state.works for state in states if state.capability_hook)
    assert all(state.hint for state in states if not state.works)


@pytest.mark.requires("bpf", "cgroup2")
def test_an_ordinary_user_is_told_what_recording_needs():
    code = (
        "import os, harden.trace, harden.errors\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try: harden.trace.Recorder.attach(1)\n"
        "except harden.errors.HardenError as error: print(error.message, '|', error.hint)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(harden_folder()).parent)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "bpf: load" in result.stdout
    assert "CAP_BPF" in result.stdout


def harden_folder() -> str:
    import harden

    return str(Path(harden.__file__).parent)
