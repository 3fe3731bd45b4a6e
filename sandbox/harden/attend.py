"""Taking a recorded program from its gate to its end: its readiness, its scenario, signals to harden."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TypedDict

import msgspec

from harden.first_start import start_before
from harden.launch.spawn import Ready as Gate
from harden.launch.spawn import Sandbox
from harden.model.outcome import Outcome
from harden.model.scenario import Perturbation, Ready, Scenario
from harden.output_watch import OutputWatch
from harden.perturbation import disturb, disturbed_from_start, is_from_start
from harden.scenario_run import await_ready, drive
from harden.signal_relay import forwarding
from harden.trace import RunningRecorder

__all__ = ["Attendance", "attend", "program_streams"]


class Attendance(msgspec.Struct, frozen=True, kw_only=True):
    """How a program is accompanied, and the surroundings of commands that are run beside it."""

    scenario: Scenario | None
    ready: Ready | None
    """Overrides the scenario's."""
    perturbation: Perturbation | None = None
    environment: Mapping[str, str]
    cwd: bytes

    @property
    def readiness(self) -> Ready | None:
        """When the phase `serving` begins; None where each thread tells by waiting for requests."""
        return self.ready or (self.scenario.ready if self.scenario else None)


class _Inside(TypedDict):
    """How a look into the sandbox is taken."""

    init_pid: int
    environment: Mapping[str, str]
    cwd: bytes
    output: OutputWatch | None


def program_streams(attendance: Attendance, stack: ExitStack, tell: Callable[[str], None]) -> OutputWatch | None:
    """Streams of the program's own, where its readiness is a text or its perturbation asks for them; None where it
    shares harden's. Settled when `stack` is left.
    """
    readiness, perturbation = attendance.readiness, attendance.perturbation
    text = readiness.text if readiness else None
    piped, terminal = perturbation is Perturbation.PIPE, perturbation is Perturbation.TERMINAL
    if text is None and not piped and not terminal:
        return None
    streams = OutputWatch(text, sys.stdout.buffer, piped=piped, terminal=terminal)
    stack.callback(streams.settle, tell)
    return streams


def attend(
    attendance: Attendance,
    sandbox: Sandbox,
    *,
    gate: Gate,
    output: OutputWatch | None,
    recorder: RunningRecorder,
    tell: Callable[[str], None],
) -> tuple[Outcome, bool]:
    """Let the program run to its end; the second value tells whether a signal to harden ended it."""
    scenario, readiness, perturbation = attendance.scenario, attendance.readiness, attendance.perturbation
    inside: _Inside = {
        "init_pid": gate.init_pid,
        "environment": attendance.environment,
        "cwd": attendance.cwd,
        "output": output,
    }
    with ExitStack() as stack:
        received = stack.enter_context(forwarding(sandbox))
        memory = stack.enter_context(sandbox.memory_watch())
        stack.enter_context(disturbed_from_start(perturbation, scenario, sandbox, init_pid=gate.init_pid))
        if scenario and perturbation is Perturbation.RESTART:
            start_before(
                scenario,
                sandbox,
                init_pid=gate.init_pid,
                payload_pid=gate.payload_pid,
                environment=attendance.environment,
                cwd=attendance.cwd,
                ready=readiness,
                tell=tell,
            )
        recorder.begin()
        sandbox.open_gate()
        if scenario:
            from_start = is_from_start(perturbation, scenario)
            disturbs = None
            if perturbation and not from_start:
                disturbs = partial(_disturb, perturbation, sandbox, gate, tell)
            drive(
                scenario,
                sandbox,
                **inside,
                ready=readiness,
                disturb=disturbs,
                may_fail=from_start,
                when_ready=recorder.begin_serving,
                tell=tell,
            )
        elif readiness:
            problem = await_ready(readiness, sandbox, **inside)
            if problem:
                tell(f"{problem}: everything was recorded as init")
            else:
                recorder.begin_serving()
        while not sandbox.poll():
            select.select([sandbox], [], [])
        outcome = memory.added_to(sandbox.wait())
        by_key = outcome.signal in (signal.SIGINT, signal.SIGQUIT) and scenario is None and os.isatty(0)
        return outcome, bool(received) or by_key


def _disturb(
    perturbation: Perturbation, sandbox: Sandbox, gate: Gate, tell: Callable[[str], None], repeat: Callable[[], None]
) -> None:
    disturb(perturbation, sandbox, init_pid=gate.init_pid, repeat=repeat, tell=tell)
