"""Programs that are hard to record: many tasks, odd births, odd names, no C library, calls that are not calls.

Over every backend, with the same numbers. What user notification cannot know is asserted to be said: results are
`unknown`, errnos None, capabilities among what is unseen.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.path_text import to_text
from harden.model.recording import CapabilityNamespace, Completeness, FileOperation, GapKind, Run, Unseen
from harden.trace import Recorder
from tests.kernel.recorded import Record, cgroup, gated, observe, operations, run_of

pytestmark = pytest.mark.requires("root", "gcc", "x86_64")

BARE = ("-nostdlib", "-static", "-ffreestanding", "-fno-pie", "-no-pie", "-fno-stack-protector")
TRUE = str(Path("/bin/true").resolve())
NO_BODY = 65533
"""A user id that nothing else runs as, so that its limit of processes is this test's."""


def counts(run: Run, program: Path | str) -> dict[str, int]:
    return {call.name: call.count for call in run.syscalls if call.executable == str(program)}


def done(recorded: Record) -> str:
    """The result of what worked, as far as the backend sees one."""
    return "ok" if recorded.backend == "bpf" else "unknown"


def opened(run: Run, folder: Path) -> set[str]:
    """Files that were read; what may have worked is `unknown` where no result is seen."""
    found = operations(run, folder)
    return {path for path, operation, result in found if operation == "read" and result in ("ok", "unknown")}


@pytest.mark.sees("20,000 processes, 5,000 threads at once, fork bombs, vfork, daemons")
def test_twenty_thousand_processes_are_counted(recorded_by_all, victim):
    program = victim("forks")
    run = recorded_by_all(program, 20_000)
    assert counts(run, program)["getppid"] == 20_000
    assert counts(run, program)["exit_group"] == 20_001
    assert run.gaps == ()


@pytest.mark.sees("20,000 processes, 5,000 threads at once, fork bombs, vfork, daemons")
def test_five_thousand_threads_are_counted(recorded_by_all, victim, place):
    (place / "threads").touch()
    program = victim("births")
    run = recorded_by_all(program, "threads", place, 5_000, cwd=place)
    assert counts(run, program)["getppid"] == 5_000
    assert counts(run, program)["exit"] == 5_000
    assert opened(run, place) == {"threads"}
    assert run.gaps == ()


@pytest.mark.sees("100,000 different paths")
def test_a_hundred_thousand_distinct_paths_are_kept_or_counted_as_lost(recorded_by_all, victim):
    """In a process of its own, whose memory is looked at."""
    recorder = "record" if recorded_by_all.backend == "bpf" else "record_by_notify"
    if recorded_by_all.backend == "notify as a user":
        recorder = "record_as_user"
    code = (
        "import resource, sys\n"
        f"from tests.kernel.recorded import {recorder}\n"
        f"run = {recorder}(sys.argv[1], 'misses', 100_000)\n"
        "print(sum(len(file.path) > 200 for file in run.files), len(run.gaps))\n"
        "print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, victim("many")], capture_output=True, text=True, check=True)
    kept, gaps, peak_kib = map(int, ended.stdout.split())
    assert (kept, gaps) == (100_000, 0)
    assert peak_kib < 600 << 10


@pytest.mark.requires("bpf", "cgroup2")
def test_beyond_the_limit_of_distinct_paths_the_recording_is_incomplete(victim):
    with (
        cgroup() as folder,
        gated(folder, victim("many"), "misses", 100_000) as process,
        Recorder.attach(folder.stat().st_ino, distinct=5_000) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert_incomplete(run, made=100_000, at_least=4_000, below=5_000)


@pytest.mark.requires("seccomp-notify", "overlay", "idmap")
def test_beyond_the_fixed_table_of_distinct_paths_the_recording_is_incomplete(victim):
    observations = observe(victim("many", static=True), "misses", 120_000)
    run = run_of(observations)
    assert set(observations.losses) == {"map_full"}
    assert_incomplete(run, made=120_000, at_least=100_000, below=120_000)


def assert_incomplete(run: Run, *, made: int, at_least: int, below: int) -> None:
    kept = sum(len(file.path) > 200 for file in run.files)
    (gap,) = run.gaps
    assert gap.kind is GapKind.LIMIT_REACHED
    assert at_least < kept < below
    assert kept + gap.count >= made
    assert run.completeness is Completeness.INCOMPLETE


@pytest.mark.sees("20,000 processes, 5,000 threads at once, fork bombs, vfork, daemons")
def test_a_fork_bomb_inside_its_limit_is_counted(recorded_by_all, victim, place):
    program = victim("births")
    run = recorded_by_all(program, "bomb", place, 60, cwd=place, options=("--id", str(NO_BODY)))
    (clone,) = [call for call in run.syscalls if call.name == "clone" and call.executable == str(program)]
    assert ("full", FileOperation.CREATE, done(recorded_by_all)) in operations(run, place)
    assert run.gaps == ()
    if recorded_by_all.backend != "bpf":
        # Each of the children is a call, and so is the refusal that ends the first one's.
        assert clone.errors is None
        assert clone.count >= 59
        return
    assert clone.errors is not None
    assert clone.errors["EAGAIN"] >= 1
    # The end of the bomb interrupts those that still fork (EINTR, and ENOMEM once the pid namespace is going), each of
    # which holds a place of the 59.
    interrupted = sum(count for name, count in clone.errors.items() if name != "EAGAIN")
    assert 59 - interrupted <= clone.count - sum(clone.errors.values()) <= 59


def test_a_thread_that_executes_takes_the_whole_process_along(recorded_by_all, victim, place):
    program = victim("births")
    run = recorded_by_all(program, "exec-thread", place, cwd=place)
    assert counts(run, program)["getpgid"] == 1
    assert counts(run, program)["execve"] == 1
    assert counts(run, TRUE)["exit_group"] == 1
    assert run.gaps == ()


@pytest.mark.sees("20,000 processes, 5,000 threads at once, fork bombs, vfork, daemons")
def test_what_a_vfork_child_does_before_it_executes_is_its_parents_program(recorded_by_all, victim, place):
    for name in ("vfork", "parent"):
        (place / name).touch()
    program = victim("births")
    run = recorded_by_all(program, "vfork", place, cwd=place)
    assert opened(run, place) == {"vfork", "parent"}
    assert {seen.executable for seen in operations(run, place).values()} == {str(program)}
    assert counts(run, program)["vfork"] == 1
    assert counts(run, TRUE)["exit_group"] == 1


@pytest.mark.sees("20,000 processes, 5,000 threads at once, fork bombs, vfork, daemons")
def test_a_daemon_in_a_session_of_its_own_is_recorded(recorded_by_all, victim, place):
    (place / "daemon").touch()
    run = recorded_by_all(victim("births"), "daemon", place, cwd=place)
    assert opened(run, place) == {"daemon"}
    assert counts(run, victim("births"))["setsid"] == 1
    assert run.gaps == ()


@pytest.fixture
def names(recorded_by_all, victim, place) -> tuple[Run, Path, str]:
    program = place / "names"
    shutil.copy(victim("names"), program)
    return recorded_by_all(program, place, 4096, cwd=place), place, done(recorded_by_all)


@pytest.mark.sees("names of 4,095 bytes, without encoding, with newlines")
def test_names_that_are_hard_to_write_are_whole(names):
    run, folder, result = names
    hard = [b"\xff\xfe", b"a\"b'c\\d", b"new\nline\ttab", b" ", b"$(x)*?[!]"]
    paths = {seen.path for seen in run.files if seen.operation is FileOperation.CREATE and seen.result == result}
    assert {to_text(bytes(folder) + b"/" + name) for name in hard} <= paths
    assert run.gaps == ()


@pytest.mark.sees("names of 4,095 bytes, without encoding, with newlines")
def test_a_path_of_4096_bytes_is_whole(names):
    run, folder, _result = names
    longest = max((seen.path for seen in run.files if seen.operation is FileOperation.CREATE), key=len)
    parts = Path(longest).relative_to(folder).parts
    assert len(longest) == 4095
    assert {(len(part), *set(part)) for part in parts[:-2]} == {(200, "p")}


def test_a_file_without_a_name_is_not_taken_for_another(names):
    run, folder, result = names
    assert ("gone", FileOperation.UNLINK, result) in operations(run, folder)
    assert not any("deleted" in seen.path for seen in run.files)


def test_a_program_that_unlinks_itself_keeps_its_path(names):
    run, folder, result = names
    (program,) = run.executables
    assert program.path == str(folder / "names")
    assert ("names", FileOperation.UNLINK, result) in operations(run, folder)
    assert ("after", FileOperation.CREATE, result) in operations(run, folder)


@pytest.mark.sees("names of 4,095 bytes, without encoding, with newlines")
def test_the_deepest_folder_that_a_path_can_name_is_whole(recorded_by_all, place):
    depth = (4095 - len(os.fsencode(place)) - 2) // 2
    deepest = os.fspath(place) + "/d" * depth
    subprocess.run(["mkdir", "-p", deepest], check=True)
    Path(deepest, "f").touch()
    run = recorded_by_all("/bin/cat", deepest + "/f", cwd=place)
    assert deepest + "/f" in {seen.path for seen in run.files if seen.operation is FileOperation.READ}
    assert run.gaps == ()


def test_a_static_program_that_makes_every_call_itself(recorded_by_all, victim):
    program = victim("raw", flags=BARE)
    run = recorded_by_all(program)
    made = counts(run, program)
    made.pop("sched_yield", None)
    assert made == {"openat": 1, "read": 1, "close": 1, "clone": 1, "getppid": 1000, "exit": 1, "exit_group": 1}
    assert {(seen.path, seen.operation) for seen in run.files if seen.syscall == "openat"} == {
        ("/etc/hostname", FileOperation.READ)
    }
    assert [(seen.interpreter, seen.libraries) for seen in run.executables] == [("", ())]
    assert run.gaps == ()


def test_a_32_bit_program_is_opaque_and_its_calls_have_their_names(recorded_by_all, victim):
    program = victim("raw", flags=(*BARE, "-m32"))
    run = recorded_by_all(program)
    foreign = {(call.arch, call.name): call.count for call in run.syscalls if call.executable == str(program)}
    assert foreign == {(Arch.I386, name): 1 for name in ("openat", "getppid", "exit_group")}
    assert [(gap.kind, gap.count) for gap in run.gaps] == [(GapKind.FOREIGN_ARCH, 3)]
    assert run.completeness is Completeness.OPAQUE


def test_a_file_opened_through_io_uring_makes_the_recording_opaque(recorded_by_all, victim):
    run = recorded_by_all(victim("uring"), "/etc/hostname")
    assert GapKind.IO_URING in {gap.kind for gap in run.gaps}
    assert run.completeness is Completeness.OPAQUE


def test_what_a_program_may_do_in_its_own_user_namespace_is_no_need(recorded_by_all):
    run = recorded_by_all("/usr/bin/unshare", "--map-root-user", "--uts", "/bin/hostname", "inner")
    assert {"unshare", "sethostname"} <= {call.name for call in run.syscalls}
    assert {seen.path for seen in run.files} >= {"/proc/self/uid_map", str(Path("/bin/hostname").resolve())}
    assert run.gaps == ()
    if recorded_by_all.backend != "bpf":
        assert run.capabilities == ()
        assert Unseen.CAPABILITIES in run.host.unseen
        return
    asked = {(seen.capability, seen.namespace) for seen in run.capabilities if seen.syscall == "sethostname"}
    assert asked == {(Capability.CAP_SYS_ADMIN.name, CapabilityNamespace.NESTED)}


def test_memory_of_the_recorder_does_not_depend_on_how_often_a_call_is_made(recorded_by_all, victim):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recorded_by_all(victim("threads"), 4, 200_000 if recorded_by_all.backend == "bpf" else 20_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
