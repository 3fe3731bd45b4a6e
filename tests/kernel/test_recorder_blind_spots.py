"""What one backend sees and the other cannot: what is not seen is said, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harden.model.phase import Phase
from harden.model.recording import Completeness, FileOperation, GapKind, Resolution, Unseen
from tests.kernel.recorded import operations

pytestmark = pytest.mark.requires("root", "gcc", "x86_64")

BARE = ("-nostdlib", "-static", "-ffreestanding", "-fno-pie", "-no-pie")
SCRIPT = "mkdir there new no/new; rm gone; cat missing; : >there; : >made; set -C; : >there"


@pytest.mark.sees("results and errnos")
def test_results(recorded, tmp_path):
    (tmp_path / "there").write_text("")
    run = recorded("/bin/sh", "-c", SCRIPT, cwd=tmp_path, expect=2)
    results = {
        (path, str(operation)): result
        for path, operation, result in operations(run, tmp_path)
        if operation in ("mkdir", "unlink", "read") or path == "made"
    }
    ok, nothing, taken = ("ok", "ENOENT", "EEXIST") if recorded.backend == "bpf" else ("unknown", "absent", "present")
    expected = {
        ("there", "mkdir"): taken,
        ("new", "mkdir"): ok,
        ("no/new", "mkdir"): nothing,
        ("gone", "unlink"): nothing,
        ("missing", "read"): nothing,
        ("made", "create"): ok,
    }
    assert {key: results[key] for key in expected} == expected
    failed = [call.errors for call in run.syscalls if call.name == "mkdir"]
    assert failed == ([{"EEXIST": 1, "ENOENT": 1}] if recorded.backend == "bpf" else [None])
    assert (Unseen.RESULTS in run.host.unseen) == (recorded.backend != "bpf")


@pytest.mark.sees("files that are opened")
def test_opened_files(recorded, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    (tmp_path / "link").symlink_to("real")
    run = recorded("/bin/cat", "link/../real/file", "link/file", cwd=tmp_path)
    found = {(seen.path, seen.resolution) for seen in run.files if seen.operation is FileOperation.READ}
    resolution = Resolution.OBJECT if recorded.backend == "bpf" else Resolution.LOOKED_UP
    assert (str(tmp_path / "real/file"), resolution) in found
    assert {kind for path, kind in found if path.endswith("real/file")} == {resolution}


@pytest.mark.sees("files that are named (unlink, rename, stat, …)")
def test_named_files(recorded, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    run = recorded("/bin/rm", "real/file", cwd=tmp_path)
    found = {seen.resolution for seen in run.files if seen.operation is FileOperation.UNLINK}
    assert found == {Resolution.LEXICAL}
    assert str(tmp_path / "real/file") in {seen.path for seen in run.files}


@pytest.mark.sees("capabilities")
def test_capabilities(recorded, tmp_path):
    (tmp_path / "file").write_text("")
    run = recorded("/bin/chown", "1", "file", cwd=tmp_path)
    checked = {seen.capability for seen in run.capabilities if seen.granted}
    if recorded.backend == "bpf":
        assert "CAP_CHOWN" in checked
    else:
        assert run.capabilities == ()
    assert (Unseen.CAPABILITIES in run.host.unseen) == (recorded.backend != "bpf")
    assert {"fchownat", "chown", "lchown"} & {call.name for call in run.syscalls}


@pytest.mark.sees("phases")
def test_phases(recorded, victim, tmp_path):
    for name in ("early", "late", "both", "child", "client"):
        (tmp_path / name).touch()
    run = recorded(victim("phases"), tmp_path, cwd=tmp_path)
    phases = {phase for call in run.syscalls for phase in call.phases}
    assert phases == ({Phase.INIT, Phase.SERVING} if recorded.backend == "bpf" else {Phase.INIT})
    assert (Unseen.PHASES in run.host.unseen) == (recorded.backend != "bpf")


@pytest.mark.sees("whom signals go to")
def test_signals(recorded):
    run = recorded("/bin/sh", "-c", "kill -USR1 $$", expect=-10 if recorded.backend == "bpf" else None)
    assert "kill" in {call.name for call in run.syscalls}
    assert [seen.signal for seen in run.signals] == (["SIGUSR1"] if recorded.backend == "bpf" else [])
    assert (Unseen.SIGNALS in run.host.unseen) == (recorded.backend != "bpf")


@pytest.mark.sees("the most tasks that lived at once")
def test_the_most_tasks(recorded, victim):
    peaks = recorded(victim("forks"), 20).peaks
    assert peaks.get("pids") == (2 if recorded.backend == "bpf" else None)


@pytest.mark.sees("operations of io_uring")
def test_operations_of_io_uring(recorded, victim):
    run = recorded(victim("uring"), "/etc/hostname")
    assert [seen.operation for seen in run.ring_operations] == (["OPENAT"] if recorded.backend == "bpf" else [])
    assert run.completeness is Completeness.OPAQUE


@pytest.mark.sees("32-bit calls")
def test_foreign_calls(recorded, victim):
    program = victim("raw", flags=(*BARE, "-fno-stack-protector", "-m32"))
    run = recorded(program)
    assert {call.name for call in run.syscalls if call.arch != "x86_64"} >= {"openat", "getppid", "exit_group"}
    assert "/etc/hostname" not in {seen.path for seen in run.files}
    assert [gap.kind for gap in run.gaps] == [GapKind.FOREIGN_ARCH]
    assert run.completeness is Completeness.OPAQUE


@pytest.mark.sees("what `open_by_handle_at` opens")
def test_files_opened_by_handle(recorded, victim, tmp_path):
    (tmp_path / "file").write_text("")
    run = recorded(victim("by_handle"), "file", cwd=tmp_path)
    opened = [seen.path for seen in run.files if seen.syscall == "open_by_handle_at"]
    assert "open_by_handle_at" in {call.name for call in run.syscalls}
    assert opened == ([str(tmp_path / "file")] if recorded.backend == "bpf" else [])


@pytest.mark.sees("calls that a seccomp filter refuses")
def test_calls_that_a_filter_refuses(recorded, victim):
    program = victim("refused")
    run = recorded(program)
    refused = [call.errors for call in run.syscalls if call.name == "getppid" and call.executable == str(program)]
    assert refused == ([{"EPERM": 1}] if recorded.backend == "bpf" else [])
    assert "seccomp" in {call.name for call in run.syscalls}


@pytest.mark.sees("a program that ends before its first call")
def test_a_program_without_calls(recorded, victim):
    program = victim("silent", flags=BARE)
    run = recorded("/bin/sh", "-c", f"{program}; :")
    assert (str(program), FileOperation.EXEC) in {(seen.path, seen.operation) for seen in run.files}
    assert (str(program) in {seen.path for seen in run.executables}) == (recorded.backend == "bpf")


@pytest.mark.sees("a seccomp listener of the program's own")
def test_a_listener(recorded, victim):
    run = recorded(victim("listener", static=True), expect=1 if recorded.backend == "bpf" else 0)
    gaps = [(gap.kind, gap.count) for gap in run.gaps]
    assert gaps == ([] if recorded.backend == "bpf" else [(GapKind.NESTED_LISTENER, 1)])


@pytest.mark.sees("arguments that matter")
def test_arguments(recorded):
    run = recorded("/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)")
    assert (10, 2) in {seen.values[:2] for seen in run.arguments if seen.name == "socket" and seen.values}


@pytest.mark.sees("system calls and how often, by program, of all threads and children")
def test_counts(recorded, victim):
    program = victim("forks")
    run = recorded(program, 30, "/bin/true")
    counts = {(Path(call.executable).name, call.name): call.count for call in run.syscalls}
    assert counts["forks", "wait4"] == 30
    assert counts["true", "exit_group"] == 30
