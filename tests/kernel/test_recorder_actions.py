"""Whom signals go to, what is submitted to io_uring, and how many tasks live at once."""

from __future__ import annotations

import pytest

from harden.model.action import SignalTarget
from tests.kernel.recorded import record

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


def test_signals_of_the_kernel_are_nobodys(victim):
    assert record("/bin/sh", "-c", "/bin/true; /bin/true").signals == ()


def test_operations_of_io_uring_are_named(victim):
    run = record(victim("uring"), "/etc/hostname")
    assert [(seen.operation, seen.count) for seen in run.ring_operations] == [("OPENAT", 1)]


def test_the_most_tasks_that_lived_at_once(victim, tmp_path):
    (tmp_path / "threads").touch()
    assert record(victim("births"), "threads", tmp_path, 50).peaks["pids"] == 51
    assert record(victim("forks"), 20).peaks["pids"] == 2
    assert record("/bin/true").peaks["pids"] == 1
