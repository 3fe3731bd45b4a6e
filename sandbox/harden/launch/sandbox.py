"""A sandbox that runs beside this process, from its start to its outcome."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec

from harden.errors import HardenError, NotExecutable, ProgramNotFound, UsageError
from harden.kernel.cgroupfs import Cgroup
from harden.launch.changes import list_changes
from harden.launch.commit import commit
from harden.launch.memory_watch import MemoryWatch
from harden.launch.ops import Code
from harden.launch.plan import Plan
from harden.launch.side_command import Entered, Helper, enter
from harden.model.control import Control
from harden.model.outcome import Change, Enforced, Outcome, Usage

__all__ = ["Entered", "Ready", "Sandbox"]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The payload waits at the gate. Process numbers are the host's."""

    cgroup_id: int | None
    """v2 id of the payload's cgroup; None where no cgroup could be made."""
    init_pid: int
    payload_pid: int


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of harden-exec's status pipe."""

    event: str
    init: int = 0
    payload: int = 0
    document: Enforced | None = None
    exit: int | None = None
    signal: int | None = None
    timed_out: bool = False
    user_us: int | None = None
    system_us: int | None = None
    max_rss_kib: int | None = None
    error_op: int | None = None
    error_number: int | None = None
    error_call: str = ""
    error_detail: str = ""


class Sandbox:
    """See the docstring of `harden.launch`. Use it as a context manager: leaving it kills and removes what is left."""

    def __init__(
        self,
        *,
        plan: Plan,
        pid: int,
        cgroup: Cgroup | None,
        first_id: int,
        status_fd: int,
        gate_fd: int,
        lifeline_fd: int,
    ) -> None:
        self.plan = plan
        self.pid = pid
        self.notes: tuple[str, ...] = ()
        """After wait(): what Outcome.changes leaves out."""
        self.helper_capabilities: frozenset[int] | None = None
        """What helper commands hold inside; None: what the program may hold."""
        self._cgroup = cgroup
        self._first_id = first_id
        self._status_fd = status_fd
        self._gate_fd = gate_fd
        self._lifeline_fd = lifeline_fd
        self._pidfd = os.pidfd_open(pid)
        self._started = time.monotonic()
        self._pending = b""
        self._events: list[_Event] = []
        self._staging_fd = -1
        self._status: int | None = None
        self._outcome: Outcome | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """A pidfd: readable when the sandbox is over."""
        return self._pidfd

    def poll(self) -> bool:
        """Whether it is over."""
        return self._status is not None or bool(select.select([self._pidfd], [], [], 0)[0])

    def ready(self, timeout_s: float | None = None) -> Ready:
        """Wait until the payload stands at the gate. Raises TimeoutError, or HardenError if it cannot get there."""
        event = self._wait_for("ready", timeout_s)
        if event is None:
            self._reap()
            raise self._error() or HardenError("the sandbox ended before the program started", hint="run it again")
        if self.plan.layers and os.geteuid() == 0 and self._staging_fd < 0:
            # The supervisor's working folder is the staging area: kept open here, it outlives the supervisor.
            # Gone when it is over by now: at the gate a program has changed nothing, and wait() says how it ended.
            with contextlib.suppress(FileNotFoundError):
                self._staging_fd = os.open(f"/proc/{self.pid}/cwd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return Ready(
            cgroup_id=None if self._cgroup is None else self._cgroup.payload_id,
            init_pid=event.init,
            payload_pid=event.payload,
        )

    def open_gate(self) -> None:
        """Let the payload execute its program. The sandbox may be over already: wait() says how."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._gate_fd, b"g")

    def signal(self, number: int) -> None:
        """Send a signal to the payload, if it still runs; before it runs, end the sandbox."""
        event = self._find("ready")
        if event is None or not self._find("enforced"):
            self._read_events(0)
            event = self._find("ready")
        if event is not None and not self.poll():
            # The number cannot be another process's: init reaps the payload and ends with it, and init is there.
            with contextlib.suppress(ProcessLookupError):
                os.kill(event.payload, number)
        elif event is None:
            self._send(number)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """The outcome. Raises TimeoutError (nothing is ended by it), or HardenError if the program never started."""
        if self._outcome is not None:
            return self._outcome
        if not self._wait_over(timeout_s):
            raise TimeoutError(f"the program still runs after {timeout_s} s")
        elapsed = time.monotonic() - self._started
        self._reap()
        error = self._error()
        if error is not None:
            raise error
        end = self._find("end")
        if end is None:
            raise HardenError(
                f"harden-exec ended with wait status {self._status} and without a word", hint="something killed it"
            )
        enforced = self._find("enforced")
        self._outcome = Outcome(
            exit_status=end.exit if end.signal is None and not end.timed_out else None,
            signal=end.signal if end.signal is not None or end.exit is not None else int(signal.SIGKILL),
            timed_out=end.timed_out,
            usage=self._usage(end, elapsed),
            changes=self._changes(),
            enforced=None if enforced is None else enforced.document,
        )
        return self._outcome

    def _usage(self, end: _Event, elapsed_s: float) -> Usage:
        """What the cgroup counted, for all processes; else what wait4(2) says of the program's own."""
        counted = Usage() if self._cgroup is None else self._cgroup.usage()
        user = counted.cpu_user_s
        system = counted.cpu_system_s
        return msgspec.structs.replace(
            counted,
            elapsed_s=elapsed_s,
            cpu_user_s=end.user_us / 1e6 if user is None and end.user_us is not None else user,
            cpu_system_s=end.system_us / 1e6 if system is None and end.system_us is not None else system,
            memory_largest_bytes=None if end.max_rss_kib is None else end.max_rss_kib * 1024,
        )

    def memory_watch(self) -> MemoryWatch:
        """Looks at the processes' memory where the cgroup does not count it; enter it before the gate is opened."""
        if self._cgroup is None or Control.MEMORY in self.plan.controllers:
            return MemoryWatch(None)
        return MemoryWatch(self._cgroup.payload_fd)

    def enter(
        self,
        argv: Sequence[str | bytes],
        *,
        program: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: str | bytes = b"/",
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Entered:
        """Run a helper command in the sandbox with its rights, in a sibling cgroup and under the base filter alone.

        `program` None: argv[0]; a plain name is looked up in PATH. `environment` None: the workload's own. Raises
        HardenError; ProgramNotFound for a name that PATH does not have.
        """
        ready = self._find("ready")
        if ready is None:
            raise UsageError("a helper command needs a sandbox that is ready", hint="call ready() first")
        variables = self.plan.spec.environment
        if environment is not None:
            variables = tuple(os.fsencode(f"{name}={value}") for name, value in environment.items())
        arguments = tuple(os.fsencode(argument) for argument in argv)
        helper = Helper(
            program=_find_program(program or arguments[0], variables),
            argv=arguments,
            environment=variables,
            cwd=os.fsencode(cwd),
        )
        cgroup = None if self._cgroup is None else self._cgroup.helper_fd
        keyring = any(step.code is Code.KEYRING for step in self.plan.ops)
        streams = (stdin, stdout, stderr)
        spec = self.plan.spec
        if self.helper_capabilities is not None:
            spec = msgspec.structs.replace(spec, capabilities=self.helper_capabilities)
        return enter(spec, helper, payload=ready.payload, cgroup=cgroup, keyring=keyring, streams=streams)

    def close(self) -> None:
        """Kill what is left, wait for it, and remove the cgroups. Safe to call again."""
        if self._closed:
            return
        self._closed = True
        os.close(self._lifeline_fd)
        if self._cgroup is not None:
            self._cgroup.kill()
        self._reap()
        for descriptor in (self._status_fd, self._gate_fd, self._pidfd, self._staging_fd):
            if descriptor >= 0:
                os.close(descriptor)
        if self._cgroup is not None:
            try:
                self._cgroup.remove()
            finally:
                self._cgroup.close()

    def _changes(self) -> tuple[Change, ...]:
        if self._staging_fd < 0:
            return ()
        if self.plan.spec.commit is not None:
            self.notes += commit(self._staging_fd, self.plan.layers, self.plan.spec.commit)
        found = list_changes(self._staging_fd, self.plan.layers, first_id=self._first_id, ignored=self.plan.made)
        self.notes += found.notes
        return found.changes

    def _find(self, name: str) -> _Event | None:
        return next((event for event in self._events if event.event == name), None)

    def _read_events(self, timeout_s: float | None) -> bool:
        """Read what the status pipe holds; False at its end."""
        readable, _, _ = select.select([self._status_fd], [], [], timeout_s)
        if not readable:
            return True
        data = os.read(self._status_fd, 65536)
        *lines, self._pending = (self._pending + data).split(b"\n")
        self._events += [msgspec.json.decode(line, type=_Event) for line in lines]
        return bool(data)

    def _wait_for(self, name: str, timeout_s: float | None) -> _Event | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (event := self._find(name)) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"the sandbox is not {name} after {timeout_s} s")
            if not self._read_events(left):
                return self._find(name)
        return event

    def _wait_over(self, timeout_s: float | None) -> bool:
        return self._status is not None or bool(select.select([self._pidfd], [], [], timeout_s)[0])

    def _reap(self) -> None:
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
            while self._read_events(None):
                pass

    def _error(self) -> HardenError | None:
        end = self._find("end")
        if end is None or end.error_op is None:
            return None
        step = self.plan.ops[end.error_op]
        parts = [step.sentence, end.error_call, _errno_text(end.error_number or 0), end.error_detail]
        message = ": ".join(part for part in parts if part)
        kind: type[HardenError] = HardenError
        if step.code is Code.EXEC and end.error_call:
            missing = end.error_number in (errno.ENOENT, errno.ENOTDIR)
            kind = ProgramNotFound if missing else NotExecutable
        return kind(message, hint=step.hint)


def _find_program(name: bytes, environment: tuple[bytes, ...]) -> bytes:
    if b"/" in name:
        return name
    path = next((entry[5:] for entry in environment if entry.startswith(b"PATH=")), os.fsencode(os.defpath))
    found = shutil.which(os.fsdecode(name), path=os.fsdecode(path))
    if found is None:
        raise ProgramNotFound(f"{os.fsdecode(name)}: not found in PATH", hint="give the helper's full path")
    return os.fsencode(found)


def _errno_text(number: int) -> str:
    if number == 0:
        return ""
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"
