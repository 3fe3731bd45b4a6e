"""The victims do what their first comment says: other tests rely on it."""

from __future__ import annotations

import signal
import socket
import subprocess

import pytest

pytestmark = pytest.mark.requires("gcc")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("static", [False, True])
def test_static_files_leaves_the_copy_and_the_renamed_link(victim, tmp_path, static):
    source = tmp_path / "input"
    source.write_text("content")
    folder = tmp_path / "out"
    folder.mkdir()
    result = run(victim("static_files", static=static), source, folder)
    assert (result.returncode, result.stdout) == (0, "done\n")
    assert (folder / "copy").read_text() == "content"
    assert sorted(path.name for path in (folder / "made").iterdir()) == ["renamed"]


@pytest.mark.requires("strace", "x86_64")
def test_static_files_makes_the_system_calls_it_names(victim, tmp_path):
    program = victim("static_files", static=True)
    trace = tmp_path / "trace"
    run("strace", "-o", trace, program, "/etc/hostname", tmp_path)
    calls = {line.split("(")[0] for line in trace.read_text().splitlines() if "(" in line}
    named = "chdir chmod close link mkdir newfstatat openat read rename rmdir socketpair symlink unlink write"
    start_up = (
        "arch_prctl brk execve exit_group getrandom mprotect prlimit64 readlink rseq set_robust_list set_tid_address"
    )
    assert calls - set(start_up.split()) == set(named.split())


def test_net_server_echoes_and_ends(victim):
    with subprocess.Popen([victim("net_server"), "0", "1"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().split()[1])
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(b"hello")
            assert peer.recv(5) == b"hello"
        assert server.wait() == 0


def test_threads_count_their_calls(victim):
    assert run(victim("threads"), 3, 100).stdout == "300\n"


def test_fork_exec_passes_the_status_on(victim):
    program = victim("fork_exec")
    assert run(program, "/bin/sh", "-c", "exit 7").returncode == 7
    assert run(program, "--orphan", "/bin/sh", "-c", "exit 7").returncode == 0


def test_try_syscall_prints_return_and_errno(victim):
    openat, at_fdcwd = (257, -100)
    result = run(victim("try_syscall"), openat, at_fdcwd & 0xFFFFFFFF, "@/does-not-exist", 0)
    assert result.stdout == "-1 2\n"


def test_caps_names_every_capability_once(victim, tmp_path):
    lines = run("unshare", "--net", "--uts", victim("caps"), tmp_path).stdout.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("CAP_") for line in lines)


def test_crash_dies_by_the_signal(victim):
    assert run(victim("crash")).returncode == -signal.SIGSEGV
    assert run(victim("crash"), signal.SIGKILL).returncode == -signal.SIGKILL


def test_sleeper_answers_signals(victim):
    with subprocess.Popen([victim("sleeper"), "3"], stdout=subprocess.PIPE, text=True) as sleeper:
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline() == "ready\n"
        sleeper.send_signal(signal.SIGHUP)
        assert sleeper.stdout.readline() == "reloaded\n"
        sleeper.send_signal(signal.SIGTERM)
        assert sleeper.stdout.readline() == "stopped\n"
        assert sleeper.wait() == 3
