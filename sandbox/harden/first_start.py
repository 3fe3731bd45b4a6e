"""A start of the program before the recorded one, in the same files and namespaces, that nobody records.

It runs as a helper command does: with the program's ids and capabilities, in another cgroup, while the program itself
waits at its gate.
"""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from harden.kernel.process_tree import children, kill_descendants, send_if
from harden.launch.spawn import Entered, Sandbox
from harden.model.outcome import Outcome
from harden.model.scenario import Ready, Scenario
from harden.output_watch import OutputWatch
from harden.scenario_run import drive

__all__ = ["start_before"]

_POLL_S: Final = 0.02


class _Start:
    """What `drive` needs of a program: the helper command that it is here."""

    def __init__(self, sandbox: Sandbox, stdout: int | None) -> None:
        spec = sandbox.plan.spec
        self._sandbox = sandbox
        self._entered = sandbox.enter(spec.argv, program=spec.program, cwd=spec.cwd, stdout=stdout, stderr=stdout)
        self._outcome: Outcome | None = None

    def fileno(self) -> int:
        return self._entered.fileno()

    def poll(self) -> bool:
        return self._outcome is not None or bool(select.select([self], [], [], 0)[0])

    def signal(self, number: int) -> None:
        """To the program itself, the only child of the process that started it."""
        while not self.poll():
            for child in children(self._entered.pid):
                send_if(child, number, lambda child=child: child in children(self._entered.pid))  # type: ignore[misc]
                return
            select.select([self], [], [], _POLL_S)

    def wait(self) -> Outcome:
        if self._outcome is None:
            self._outcome = Outcome(exit_status=self._entered.wait(), signal=None)
        return self._outcome

    def enter(
        self, argv: Sequence[str], *, environment: Mapping[str, str], cwd: bytes, stdout: int | None = None
    ) -> Entered:
        return self._sandbox.enter(argv, environment=environment, cwd=cwd, stdout=stdout)

    def end(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()


def start_before(
    scenario: Scenario,
    sandbox: Sandbox,
    *,
    init_pid: int,
    payload_pid: int,
    environment: Mapping[str, str],
    cwd: bytes,
    ready: Ready | None,
    tell: Callable[[str], None],
) -> None:
    """Start the program, take it through `scenario` to its end, and kill what it left running.

    Raises ScenarioFailed as the recorded run would. Its standard input is empty.
    """
    tell("perturbation: restart: the first start, which is not recorded")
    with ExitStack() as stack:
        output = OutputWatch(ready.text, sys.stdout.buffer) if ready and ready.text is not None else None
        if output:
            stack.callback(output.settle, tell)
        start = _Start(sandbox, output.writer if output else None)
        if output:
            output.close_writer()
        stack.callback(kill_descendants, init_pid, kept=payload_pid)
        stack.callback(start.end)
        drive(
            scenario,
            start,
            init_pid=init_pid,
            environment=environment,
            cwd=cwd,
            output=output,
            ready=ready,
            when_ready=lambda: None,
            tell=tell,
        )
        start.wait()
    tell("perturbation: restart: the second start, recorded")
