"""Drives a recorded program through its scenario: readiness, helper commands, signals, stop."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from harden.errors import HardenError, ProgramNotFound
from harden.launch.spawn import Entered
from harden.model.outcome import Outcome
from harden.model.scenario import Ready, Scenario, Step, Stop, signal_number
from harden.output_watch import OutputWatch

__all__ = ["Disturb", "Driven", "OutputWatch", "ScenarioFailed", "await_ready", "describe_ready", "drive"]

_POLL_S: Final = 0.02
_DISTURBED_S: Final = 10.0
"""A command beside a disturbed program gets no longer: it may wait for what never comes."""
_ENDING_S: Final = 5.0
"""How long a sandbox takes to end, at most, once its program has."""
_TCP_LISTEN: Final = "0A"
_DEFAULT_STOP: Final = Stop()


class ScenarioFailed(HardenError):
    """A step did not do what the scenario says; the program was ended."""


class Driven(Protocol):
    """A started program: a Sandbox, or a start before the recorded one."""

    def fileno(self) -> int: ...

    def poll(self) -> bool: ...

    def signal(self, number: int) -> None: ...

    def wait(self) -> Outcome: ...

    def enter(
        self, argv: Sequence[str], *, environment: Mapping[str, str], cwd: bytes, stdout: int | None = None
    ) -> Entered: ...


Disturb = Callable[[Callable[[], None]], None]
"""Disturbs the program; it is given what runs the scenario's commands once more."""


def drive(
    scenario: Scenario,
    sandbox: Driven,
    *,
    init_pid: int,
    environment: Mapping[str, str],
    cwd: bytes,
    output: OutputWatch | None,
    ready: Ready | None,
    when_ready: Callable[[], None],
    tell: Callable[[str], None],
    disturb: Disturb | None = None,
    may_fail: bool = False,
) -> None:
    """Take the started program through every step; ScenarioFailed names the step that went wrong.

    `ready` is waited for first, then `when_ready` is called; `disturb` comes before the step that stops the
    program, and where it ends it the rest is left out. After the last step a program that still runs gets
    SIGTERM, as if the scenario ended with `stop`. With `may_fail` the program is disturbed from its start: what goes
    wrong before the last step is told, and a program that ends early is done.
    """
    if ready:
        tell(f"waiting until ready ({describe_ready(ready)})")
        problem = await_ready(ready, sandbox, init_pid=init_pid, environment=environment, cwd=cwd, output=output)
        if problem and not may_fail:
            raise ScenarioFailed(problem, hint="raise ready.within_s, or check what the program waits for")
        if problem:
            tell(f"while disturbed: {problem}")
        else:
            when_ready()

    def repeat() -> None:
        _repeat(scenario, sandbox, environment=environment, cwd=cwd, tell=tell)

    for number, step in enumerate(scenario.step, 1):
        if disturb and step.stop:
            disturb(repeat)
            disturb = None
            if sandbox.poll():
                return
        if may_fail and sandbox.poll():
            return
        tell(f"step {number}: {_describe_step(step)}")
        try:
            _run_step(number, step, sandbox, environment=environment, cwd=cwd)
        except ScenarioFailed as error:
            if not may_fail or (step.stop and not sandbox.poll()):
                raise
            tell(f"while disturbed: {error.message}")
    if disturb:
        disturb(repeat)
    if scenario.step and not sandbox.poll():
        _stop(len(scenario.step), _DEFAULT_STOP, sandbox)


def await_ready(
    ready: Ready,
    sandbox: Driven,
    *,
    init_pid: int,
    environment: Mapping[str, str],
    cwd: bytes,
    output: OutputWatch | None,
) -> str:
    """Wait until the program is ready; why it is not, or nothing when it is."""
    if ready.seconds is not None:
        _ended_within(sandbox, ready.seconds)
    deadline = time.monotonic() + ready.within_s
    while not _is_ready(ready, sandbox, init_pid=init_pid, environment=environment, cwd=cwd, output=output):
        if _ended_within(sandbox, _POLL_S):
            return f"the program ended before it was ready ({describe_ready(ready)})"
        if time.monotonic() > deadline:
            return f"the program was not ready ({describe_ready(ready)}) within {ready.within_s:g} s"
    return ""


def _is_ready(
    ready: Ready,
    sandbox: Driven,
    *,
    init_pid: int,
    environment: Mapping[str, str],
    cwd: bytes,
    output: OutputWatch | None,
) -> bool:
    if ready.port is not None:
        return _listens(init_pid, ready.port)
    if ready.path is not None:
        found = sandbox.enter(("test", "-e", ready.path), environment=environment, cwd=cwd)
        return found.wait(ready.within_s) == 0
    if ready.text is not None:
        return output is not None and output.found.is_set()
    return True


def _listens(init_pid: int, port: int) -> bool:
    """Whether anything in the sandbox's network namespace listens on a TCP port (proc_pid_net(5))."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{init_pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False


def _run_step(number: int, step: Step, sandbox: Driven, *, environment: Mapping[str, str], cwd: bytes) -> None:
    if sandbox.poll() and step.idle_s is None:
        raise ScenarioFailed(f"step {number} ({_describe_step(step)}): the program has ended already")
    if step.run is not None:
        try:
            helper = sandbox.enter(step.run, environment=environment, cwd=cwd, stdout=sys.stderr.fileno())
        except HardenError as error:
            # It can have ended since it was asked, a moment before its sandbox does.
            if isinstance(error, ProgramNotFound) or not _ended_within(sandbox, _ENDING_S):
                raise
            raise ScenarioFailed(f"step {number} ({_describe_step(step)}): the program has ended already") from None
        try:
            status = helper.wait(step.within_s)
        except TimeoutError:
            helper.kill()
            raise ScenarioFailed(
                f"step {number} ({_describe_step(step)}): not done within {step.within_s:g} s"
            ) from None
        # What serves a client is still there when the client ends, and the sandbox ends with it.
        ended_with_program = status == 128 + signal.SIGKILL and _ended_within(sandbox, _ENDING_S)
        if status != step.expect_status and not ended_with_program:
            raise ScenarioFailed(f"step {number} ({_describe_step(step)}): status {status}, not {step.expect_status}")
    elif step.signal is not None:
        sandbox.signal(signal_number(step.signal))
    elif step.idle_s is not None:
        _ended_within(sandbox, step.idle_s)
    elif step.stop is not None:
        _stop(number, step.stop, sandbox)


def _repeat(
    scenario: Scenario,
    sandbox: Driven,
    *,
    environment: Mapping[str, str],
    cwd: bytes,
    tell: Callable[[str], None],
) -> None:
    """Run the scenario's commands once more: a disturbed program may well fail them."""
    for number, step in enumerate(scenario.step, 1):
        if step.run is not None and not sandbox.poll():
            shorter = msgspec.structs.replace(step, within_s=min(step.within_s, _DISTURBED_S))
            try:
                _run_step(number, shorter, sandbox, environment=environment, cwd=cwd)
            except ScenarioFailed as error:
                tell(f"while disturbed: {error.message}")


def _stop(number: int, stop: Stop, sandbox: Driven) -> None:
    sandbox.signal(signal_number(stop.signal))
    if not _ended_within(sandbox, stop.within_s):
        raise ScenarioFailed(f"step {number} (stop): the program still runs {stop.within_s:g} s after SIG{stop.signal}")
    if stop.expect_status is not None and (status := sandbox.wait().status) != stop.expect_status:
        raise ScenarioFailed(f"step {number} (stop): status {status}, not {stop.expect_status}")


def _ended_within(sandbox: Driven, seconds: float) -> bool:
    return bool(select.select([sandbox], [], [], seconds)[0])


def describe_ready(ready: Ready) -> str:
    """`ready` in words."""
    if ready.port is not None:
        return f"port {ready.port} listens"
    if ready.path is not None:
        return f"{ready.path} exists"
    if ready.text is not None:
        return f"output contains {ready.text!r}"
    return f"{ready.seconds:g} s pass"


def _describe_step(step: Step) -> str:
    if step.run is not None:
        return f"run {' '.join(step.run)}"
    if step.signal is not None:
        return f"signal {step.signal}"
    if step.idle_s is not None:
        return f"idle {step.idle_s:g} s"
    return f"stop with {step.stop.signal}" if step.stop else "nothing"
