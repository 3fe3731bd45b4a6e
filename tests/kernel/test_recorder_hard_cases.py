"""Programs that are hard to record: many tasks, odd births, odd names, no C library, calls that are not calls."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.path_text import to_text
from harden.model.recording import CapabilityNamespace, Completeness, FileOperation, GapKind, Run
from harden.trace import Recorder
from tests.kernel.recorded import cgroup, gated, operations, record, run_of

pytestmark = pytest.mark.requires("root", "bpf", "cgroup2", "gcc", "x86_64")

BARE = ("-nostdlib", "-static", "-ffreestanding", "-fno-pie", "-no-pie", "-fno-stack-protector")
TRUE = str(Path("/bin/true").resolve())
NO_BODY = 65533
"""A user id that nothing else runs as, so that its limit of processes is this test's."""


def counts(run: Run, program: Path | str) -> dict[str, int]:
    return {call.name: call.count for call in run.syscalls if call.executable == str(program)}


def opened(run: Run, folder: Path) -> set[str]:
    return {path for path, operation, result in operations(run, folder) if (operation, result) == ("read", "ok")}


def test_twenty_thousand_processes_are_counted(victim):
    program = victim("forks")
    run = record(program, 20_000)
    assert counts(run, program)["getppid"] == 20_000
    assert counts(run, program)["exit_group"] == 20_001
    assert run.gaps == ()


def test_five_thousand_threads_are_counted(victim, tmp_path):
    (tmp_path / "threads").touch()
    program = victim("births")
    run = record(program, "threads", tmp_path, 5_000)
    assert counts(run, program)["getppid"] == 5_000
    assert counts(run, program)["exit"] == 5_000
    assert opened(run, tmp_path) == {"threads"}
    assert run.gaps == ()


def test_a_hundred_thousand_distinct_paths_are_kept_or_counted_as_lost(victim):
    """In a process of its own, whose memory is looked at."""
    code = (
        "import resource, sys\n"
        "from tests.kernel.recorded import record\n"
        "run = record(sys.argv[1], 'misses', 100_000)\n"
        "print(sum(len(file.path) > 200 for file in run.files), len(run.gaps))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, victim("many")], capture_output=True, text=True, check=True)
    kept, gaps, peak_kib = map(int, done.stdout.split())
    assert (kept, gaps) == (100_000, 0)
    assert peak_kib < 600 << 10


def test_beyond_the_limit_of_distinct_paths_the_recording_is_incomplete(victim):
    with (
        cgroup() as folder,
        gated(folder, victim("many"), "misses", 100_000) as process,
        Recorder.attach(folder.stat().st_ino, distinct=5_000) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    kept = sum(len(file.path) > 200 for file in run.files)
    (gap,) = run.gaps
    assert gap.kind is GapKind.LIMIT_REACHED
    assert 4_000 < kept < 5_000
    assert kept + gap.count >= 100_000
    assert run.completeness is Completeness.INCOMPLETE


def test_a_fork_bomb_inside_its_limit_is_counted(victim, tmp_path):
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    program = victim("births")
    run = record(program, "bomb", tmp_path, 60, options=("--id", str(NO_BODY)))
    (clone,) = [call for call in run.syscalls if call.name == "clone" and call.executable == str(program)]
    operations_ = {(path, operation) for path, operation, _ in operations(run, tmp_path)}
    assert clone.errors is not None
    assert clone.errors["EAGAIN"] >= 1
    # The end of the bomb interrupts those that still fork (EINTR, and ENOMEM once the pid namespace is going), each of
    # which holds a place of the 59.
    interrupted = sum(count for name, count in clone.errors.items() if name != "EAGAIN")
    assert 59 - interrupted <= clone.count - sum(clone.errors.values()) <= 59
    assert ("full", FileOperation.CREATE) in operations_
    assert run.gaps == ()


def test_a_thread_that_executes_takes_the_whole_process_along(victim, tmp_path):
    program = victim("births")
    run = record(program, "exec-thread", tmp_path)
    assert counts(run, program)["getpgid"] == 1
    assert counts(run, program)["execve"] == 1
    assert counts(run, TRUE)["exit_group"] == 1
    assert run.gaps == ()


def test_what_a_vfork_child_does_before_it_executes_is_its_parents_program(victim, tmp_path):
    for name in ("vfork", "parent"):
        (tmp_path / name).touch()
    program = victim("births")
    run = record(program, "vfork", tmp_path)
    assert opened(run, tmp_path) == {"vfork", "parent"}
    assert {seen.executable for seen in operations(run, tmp_path).values()} == {str(program)}
    assert counts(run, program)["vfork"] == 1
    assert counts(run, TRUE)["exit_group"] == 1


def test_a_daemon_in_a_session_of_its_own_is_recorded(victim, tmp_path):
    (tmp_path / "daemon").touch()
    run = record(victim("births"), "daemon", tmp_path)
    assert opened(run, tmp_path) == {"daemon"}
    assert counts(run, victim("births"))["setsid"] == 1
    assert run.gaps == ()


@pytest.fixture
def names(victim, tmp_path) -> tuple[Run, Path]:
    program = tmp_path / "names"
    program.write_bytes(victim("names").read_bytes())
    program.chmod(0o755)
    return record(program, tmp_path, 4096), tmp_path


def test_names_that_are_hard_to_write_are_whole(names):
    run, folder = names
    hard = [b"\xff\xfe", b"a\"b'c\\d", b"new\nline\ttab", b" ", b"$(x)*?[!]"]
    paths = {seen.path for seen in run.files if seen.operation is FileOperation.CREATE and seen.result == "ok"}
    assert {to_text(bytes(folder) + b"/" + name) for name in hard} <= paths
    assert run.gaps == ()


def test_a_path_of_4096_bytes_is_whole(names):
    run, _folder = names
    longest = max((seen.path for seen in run.files if seen.operation is FileOperation.CREATE), key=len)
    assert len(longest) == 4095
    assert Path(longest).is_file()


def test_a_file_without_a_name_is_not_taken_for_another(names):
    run, folder = names
    assert ("gone", FileOperation.UNLINK, "ok") in operations(run, folder)
    assert not any("deleted" in seen.path for seen in run.files)


def test_a_program_that_unlinks_itself_keeps_its_path(names):
    run, folder = names
    (program,) = run.executables
    assert program.path == str(folder / "names")
    assert ("names", FileOperation.UNLINK, "ok") in operations(run, folder)
    assert ("after", FileOperation.CREATE, "ok") in operations(run, folder)


def test_the_deepest_folder_that_a_path_can_name_is_whole(tmp_path):
    depth = (4095 - len(os.fsencode(tmp_path)) - 2) // 2
    deepest = os.fspath(tmp_path) + "/d" * depth
    subprocess.run(["mkdir", "-p", deepest], check=True)
    Path(deepest, "f").touch()
    try:
        run = record("/bin/cat", deepest + "/f")
        assert deepest + "/f" in {seen.path for seen in run.files if seen.operation is FileOperation.READ}
        assert run.gaps == ()
    finally:
        # shutil.rmtree, which pytest uses, recurses in Python.
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_a_static_program_that_makes_every_call_itself(victim):
    program = victim("raw", flags=BARE)
    run = record(program)
    made = counts(run, program)
    made.pop("sched_yield", None)
    assert made == {"openat": 1, "read": 1, "close": 1, "clone": 1, "getppid": 1000, "exit": 1, "exit_group": 1}
    assert {(seen.path, seen.operation) for seen in run.files if seen.syscall == "openat"} == {
        ("/etc/hostname", FileOperation.READ)
    }
    assert [(seen.interpreter, seen.libraries) for seen in run.executables] == [("", ())]
    assert run.gaps == ()


def test_a_32_bit_program_is_opaque_and_its_calls_have_their_names(victim):
    program = victim("raw", flags=(*BARE, "-m32"))
    run = record(program)
    foreign = {(call.arch, call.name): call.count for call in run.syscalls if call.executable == str(program)}
    assert foreign == {(Arch.I386, name): 1 for name in ("openat", "getppid", "exit_group")}
    assert [(gap.kind, gap.count) for gap in run.gaps] == [(GapKind.FOREIGN_ARCH, 3)]
    assert run.completeness is Completeness.OPAQUE


def test_a_file_opened_through_io_uring_makes_the_recording_opaque(victim):
    run = record(victim("uring"), "/etc/hostname")
    assert GapKind.IO_URING in {gap.kind for gap in run.gaps}
    assert run.completeness is Completeness.OPAQUE


def test_what_a_program_may_do_in_its_own_user_namespace_is_no_need():
    run = record("/usr/bin/unshare", "--map-root-user", "--uts", "/bin/hostname", "inner")
    asked = {(seen.capability, seen.namespace) for seen in run.capabilities if seen.syscall == "sethostname"}
    assert asked == {(Capability.CAP_SYS_ADMIN.name, CapabilityNamespace.NESTED)}


def test_memory_of_the_recorder_does_not_depend_on_how_often_a_call_is_made(victim):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record(victim("threads"), 4, 200_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
