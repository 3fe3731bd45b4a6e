"""A signal that comes while the sandbox is being made, or while its program waits at the gate."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harden.errors import HardenError
from harden.launch.plan import Plan
from harden.launch.sandbox import Sandbox
from harden.launch.spawn import start
from harden.model.sandbox import View
from tests.sandboxes import plan_of, shell

pytestmark = pytest.mark.requires("root", "cgroup2", "userns", "seccomp", "idmap")

MANY = tuple(b"/made/%d" % number for number in range(900))
"""They take the kernel long enough to be caught at."""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "STt"


def only_child(pid: int) -> int:
    while not (found := children(pid)):
        pass
    return found[0]


def stop_init(sandbox: Sandbox) -> tuple[int, int] | None:
    """Init, stopped while it builds the root, and the payload, which waits for it; None: init was faster."""
    init = only_child(sandbox.pid)
    payload = only_child(init)
    os.kill(init, signal.SIGSTOP)
    # The last thing that init does with the root is to give up its own rights.
    is_building = "\nNoNewPrivs:\t0\n" in Path(f"/proc/{init}/status").read_text()
    return (init, payload) if is_building else None


@pytest.fixture
def told() -> Iterator[tuple[int, int]]:
    """A pipe: its reader is the program's standard input, and the program stays until it is told a line."""
    ends = os.pipe2(os.O_CLOEXEC)
    yield ends
    for end in ends:
        os.close(end)


def waiting() -> Plan:
    return plan_of(shell("read line; echo $line", view=View.MINIMAL, folders=MANY))


def test_while_the_root_is_built_it_ends_the_start_by_name(told):
    for _ in range(20):
        with start(waiting(), gate=False, stdin=told[0]) as sandbox:
            stopped = stop_init(sandbox)
            if stopped is None:
                continue
            os.kill(sandbox.pid, signal.SIGTERM)
            with pytest.raises(HardenError, match="a signal ended harden before the program started"):
                sandbox.wait(20)
            assert not any(Path(f"/proc/{pid}").exists() for pid in stopped)
            return
    pytest.fail("init was never stopped in time")


def test_a_stopped_start_goes_on(told):
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with start(waiting(), gate=False, stdin=told[0], stdout=writer) as sandbox:
        os.close(writer)
        init = only_child(sandbox.pid)
        os.kill(init, signal.SIGSTOP)
        while is_running(init):
            pass
        # The supervisor is told of it: it has to sleep again, and not to end the start.
        while is_running(sandbox.pid):
            pass
        os.kill(init, signal.SIGCONT)
        os.write(told[1], b"ran\n")
        assert sandbox.wait(20).exit_status == 0
    assert os.read(reader, 100) == b"ran\n"
    os.close(reader)


def test_at_the_gate_it_is_the_programs():
    with start(plan_of(shell("echo ran"))) as sandbox:
        sandbox.ready(20)
        os.kill(sandbox.pid, signal.SIGTERM)
        sandbox.open_gate()
        assert sandbox.wait(20).signal == signal.SIGTERM
