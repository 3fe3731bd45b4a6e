"""A signal that comes while the sandbox is being made, or while its program waits at the gate."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harden.errors import HardenError
from harden.launch.sandbox import Sandbox
from harden.launch.spawn import start
from harden.model.sandbox import View
from tests.sandboxes import plan_of, shell

pytestmark = pytest.mark.requires("root", "cgroup2", "userns", "seccomp", "idmap")

MANY = tuple(b"/made/%d" % number for number in range(900))
"""They take the kernel long enough to be caught at."""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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


def test_while_the_root_is_built_it_ends_the_start_by_name():
    for _ in range(20):
        planned = plan_of(shell("echo ran", view=View.MINIMAL, folders=MANY))
        with start(planned, gate=False) as sandbox:
            stopped = stop_init(sandbox)
            if stopped is None:
                continue
            os.kill(sandbox.pid, signal.SIGTERM)
            with pytest.raises(HardenError, match="a signal ended harden before the program started"):
                sandbox.wait(20)
            assert not any(Path(f"/proc/{pid}").exists() for pid in stopped)
            return
    pytest.fail("init was never stopped in time")


def test_a_stopped_start_goes_on():
    reader, writer = os.pipe2(os.O_CLOEXEC)
    planned = plan_of(shell("echo ran", view=View.MINIMAL, folders=MANY))
    with start(planned, gate=False, stdout=writer) as sandbox:
        os.close(writer)
        init = only_child(sandbox.pid)
        os.kill(init, signal.SIGSTOP)
        os.kill(init, signal.SIGCONT)
        assert sandbox.wait(20).exit_status == 0
    assert os.read(reader, 100) == b"ran\n"
    os.close(reader)


def test_at_the_gate_it_is_the_programs():
    with start(plan_of(shell("echo ran"))) as sandbox:
        sandbox.ready(20)
        os.kill(sandbox.pid, signal.SIGTERM)
        sandbox.open_gate()
        assert sandbox.wait(20).signal == signal.SIGTERM
