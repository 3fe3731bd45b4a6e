"""Phases: what a thread does before it first waits for requests is init, the rest is serving."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harden.model.phase import Phase
from harden.model.recording import FileOperation, Run, SocketOperation
from harden.trace import Recorder
from tests.kernel.recorded import cgroup, gated, operations, record, run_of

pytestmark = pytest.mark.requires("root", "bpf", "cgroup2", "gcc", "x86_64")

INIT, SERVING = (Phase.INIT,), (Phase.SERVING,)
BOTH = (Phase.INIT, Phase.SERVING)


def phases_of_calls(run: Run, program: Path) -> dict[str, tuple[Phase, ...]]:
    return {call.name: call.phases for call in run.syscalls if call.executable == str(program)}


@pytest.fixture
def server(victim, tmp_path) -> Run:
    for name in ("early", "late", "both", "child", "client"):
        (tmp_path / name).touch()
    return record(victim("phases"), tmp_path)


def test_calls_have_the_phase_of_their_thread(server, victim):
    seen = phases_of_calls(server, victim("phases"))
    expected = {
        **dict.fromkeys(("getpgid", "getsid", "listen", "bind", "poll", "sysinfo", "connect"), INIT),
        **dict.fromkeys(("accept", "uname", "times"), SERVING),
        "openat": BOTH,
    }
    assert {name: seen[name] for name in expected} == expected


def test_each_call_is_counted_once(server, victim):
    counts = {call.name: call.count for call in server.syscalls if call.executable == str(victim("phases"))}
    assert (counts["accept"], counts["uname"], counts["poll"]) == (1, 1, 2)


def test_files_and_sockets_have_the_phase_of_their_thread(server, tmp_path):
    files = {path: seen.phases for (path, _, _), seen in operations(server, tmp_path).items() if path != "."}
    assert files == {"early": INIT, "client": INIT, "late": SERVING, "child": SERVING, "both": BOTH}
    assert {seen.phases for seen in server.sockets if seen.operation is SocketOperation.LISTEN} == {INIT}
    counts = {path: seen.count for (path, _, _), seen in operations(server, tmp_path).items()}
    assert counts["both"] == 2


def test_a_program_that_never_listens_is_all_init():
    run = record("/bin/sh", "-c", "exec 3</etc/hostname; /bin/true")
    kinds = (run.syscalls, run.arguments, run.capabilities, run.files, run.sockets)
    assert {seen.phases for kind in kinds for seen in kind} == {INIT}
    assert not run.serves


def test_what_is_executed_while_serving_is_serving(tmp_path):
    code = (
        "import socket, subprocess\n"
        "s = socket.create_server(('127.0.0.1', 0)); s.settimeout(0.01)\n"
        "try: s.accept()\n"
        "except TimeoutError: pass\n"
        "subprocess.run(['/bin/true'])\n"
    )
    run = record("/usr/bin/python3", "-c", code)
    true = Path("/bin/true").resolve()
    assert set(phases_of_calls(run, true).values()) == {SERVING}
    assert {seen.phases for seen in run.files if seen.executable == str(true)} == {SERVING}


def wait_until_in(process: Path, function: str) -> None:
    """Until it sleeps in a function of the kernel with this in its name: proc_pid_wchan(5)."""
    while function not in (process / "wchan").read_text():
        assert "Z" not in (process / "stat").read_text().rpartition(")")[2]


def test_a_listening_socket_that_was_inherited_ends_init_too():
    code = "import os, socket; socket.socket(fileno=0).accept(); os.uname()"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        cgroup() as folder,
        gated(folder, "/usr/bin/python3", "-c", code, stdin=listener.fileno()) as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        process.open()
        wait_until_in(Path(f"/proc/{process.process.pid}"), "accept")
        socket.create_connection(listener.getsockname()).close()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert {call.name: call.phases for call in run.syscalls}["accept4"] == SERVING
    assert {call.name: call.phases for call in run.syscalls}["uname"] == SERVING


def test_readiness_that_is_told_overrides_waiting(victim, tmp_path):
    for name in ("early", "late", "both", "child", "client"):
        (tmp_path / name).touch()
    with (
        cgroup() as folder,
        gated(folder, victim("phases"), tmp_path) as process,
        Recorder.attach(folder.stat().st_ino, is_ready_told=True) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert {call.phases for call in run.syscalls} == {INIT}


def test_readiness_that_is_told_ends_init_of_every_thread(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with (
        cgroup() as folder,
        gated(folder, "/bin/sh", "-c", "/bin/cat fifo; /bin/true", cwd=tmp_path) as process,
        Recorder.attach(folder.stat().st_ino, is_ready_told=True) as recorder,
    ):
        process.open()
        with open(tmp_path / "fifo", "wb"):
            # cat has its end open, but may still be on its way out of that call, and the shell on its way to wait.
            shell = Path(f"/proc/{process.process.pid}")
            wait_until_in(shell, "do_wait")
            (cat,) = (shell / f"task/{shell.name}/children").read_text().split()
            wait_until_in(Path("/proc", cat), "pipe_read")
            recorder.begin_serving()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert set(phases_of_calls(run, Path("/bin/true").resolve()).values()) == {SERVING}
    assert phases_of_calls(run, Path("/bin/sh").resolve())["wait4"] == BOTH
    (opened,) = [seen for path, seen in operations(run, tmp_path).items() if path[1] is FileOperation.READ]
    assert opened.phases == INIT


def test_a_recorder_that_has_stopped_ignores_readiness():
    with cgroup() as folder, Recorder.attach(folder.stat().st_ino, is_ready_told=True) as recorder:
        recorder.stop()
        recorder.begin_serving()
