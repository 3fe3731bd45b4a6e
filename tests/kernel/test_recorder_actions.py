"""Whom signals go to, what is submitted to io_uring, how many tasks live at once, and how far a recording is."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from harden.model.action import SignalTarget
from harden.trace import Recorder
from tests.kernel.recorded import cgroup, gated, record, run_of

pytestmark = pytest.mark.requires("root", "bpf", "cgroup2", "gcc", "x86_64")


def test_signals_are_known_by_whom_they_go_to(victim):
    run = record(victim("signals"))
    assert {(seen.signal, seen.target): seen.count for seen in run.signals} == {
        ("SIGUSR1", SignalTarget.SELF): 1,
        ("SIGRTMIN+1", SignalTarget.SELF): 1,
        ("SIGUSR2", SignalTarget.PARENT): 1,
        ("SIGWINCH", SignalTarget.OTHER): 1,
        ("SIGTERM", SignalTarget.CHILD): 1,
        ("SIGURG", SignalTarget.OUTSIDE): 1,
    }


SENT_BY = {
    "SIGUSR1": "kill",
    "SIGUSR2": "tkill",
    "SIGURG": "tgkill",
    "SIGWINCH": "rt_sigqueueinfo",
    "SIGIO": "rt_tgsigqueueinfo",
    "SIGHUP": "pidfd_send_signal",
    "SIGTERM": "kill",  # of i386
}


@pytest.mark.every_kernel
def test_signals_are_known_by_the_call_that_sent_them(victim):
    run = record(victim("senders"))
    assert {seen.signal: seen.syscall for seen in run.signals} == SENT_BY
    assert {seen.count for seen in run.signals} == {1}


@pytest.mark.requires("strace")
def test_strace_sees_the_same_calls_send_the_same_signals(victim, tmp_path):
    log = tmp_path / "log"
    subprocess.run(["strace", "-o", log, "-e", "trace=/kill|sigqueue|send_signal", victim("senders")], check=True)
    calls = re.findall(r"^(\w+)\(.*?(SIG\w+)", log.read_text(), re.MULTILINE)
    assert {signal: call for call, signal in calls} == SENT_BY


def test_signals_of_the_kernel_are_nobodys(victim):
    assert record("/bin/sh", "-c", "/bin/true; /bin/true").signals == ()


def test_operations_of_io_uring_are_named(victim):
    run = record(victim("uring"), "/etc/hostname")
    assert [(seen.operation, seen.syscall, seen.count) for seen in run.ring_operations] == [
        ("OPENAT", "io_uring_enter", 1)
    ]


def test_what_the_kernel_takes_from_a_ring_itself_is_of_its_program_and_of_no_call(victim):
    run = record(victim("uring"), "/etc/hostname", "poll")
    assert [(seen.operation, seen.syscall, seen.count) for seen in run.ring_operations] == [("OPENAT", "", 1)]
    assert run.ring_operations[0].executable == str(victim("uring"))


@pytest.mark.requires("strace")
@pytest.mark.parametrize("how", [(), ("poll",)], ids=["by the call", "by the kernel"])
def test_strace_sees_the_call_submit_as_many(victim, tmp_path, how):
    log, command = tmp_path / "log", (victim("uring"), "/etc/hostname", *how)
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=io_uring_enter", *command], check=True)
    submitted = sum(map(int, re.findall(r"io_uring_enter\(.*= (\d+)$", log.read_text(), re.MULTILINE)))
    by_call = [seen.count for seen in record(*command).ring_operations if seen.syscall == "io_uring_enter"]
    assert sum(by_call) == submitted == 1 - len(how)


def test_the_most_tasks_that_lived_at_once(victim, tmp_path):
    (tmp_path / "threads").touch()
    assert record(victim("births"), "threads", tmp_path, 50).peaks["pids"] == 51
    assert record(victim("forks"), 20).peaks["pids"] == 2
    assert record("/bin/true").peaks["pids"] == 1


def test_progress_counts_what_tasks_still_hold_and_takes_nothing_away(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with (
        cgroup() as folder,
        gated(folder, "/bin/cat", "fifo", cwd=tmp_path) as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        assert recorder.progress().tasks == 0
        process.open()
        # Opening succeeds once cat has opened its end.
        with open(tmp_path / "fifo", "wb"):
            looks = [recorder.progress() for _ in range(2)]
        assert process.wait() == 0
        run = run_of(recorder.stop())
    made = sum(call.count for call in run.syscalls)
    assert [look.tasks for look in looks] == [1, 1]
    assert 10 < looks[0].calls <= looks[1].calls < made
    assert made - looks[0].calls < 20
