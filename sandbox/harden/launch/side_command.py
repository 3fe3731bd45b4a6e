"""Commands beside the program: in the sandbox's namespaces, in another cgroup, without the profile's filter.

The workload may have replaced what a helper executes. It gets nothing for that: a helper has the sandbox's ids and
capabilities, the base filter, an own session without a terminal and an own session keyring.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from typing import Final

import msgspec

from harden.errors import HardenError, UsageError
from harden.kernel.executable import open_harden_exec, sealed_memfd
from harden.kernel.uapi import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
)
from harden.launch.encode import Header, encode
from harden.launch.ops import Code, Flag, Op, Stage, op
from harden.launch.payload import base_filter_op, identity_ops
from harden.launch.process import fill_standard_streams, spawn
from harden.launch.rlimits import rlimit_ops
from harden.model.sandbox import SandboxSpec

__all__ = ["Entered", "Helper", "enter"]

_JOINED: Final = {
    "user": CLONE_NEWUSER,
    "mnt": CLONE_NEWNS,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "cgroup": CLONE_NEWCGROUP,
}


class Helper(msgspec.Struct, frozen=True, kw_only=True):
    """A helper command; `program` and `cwd` are paths inside."""

    program: bytes
    argv: tuple[bytes, ...]
    environment: tuple[bytes, ...]
    cwd: bytes


class Relay:
    """Copies a pipe to a terminal: a helper that had the terminal itself could do anything to it."""

    def __init__(self, terminal: int) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        self.drained = threading.Event()
        """Everything that the helper had written when it ended is on the terminal."""
        self._terminal = os.dup(terminal)

    def start(self, pidfd: int) -> None:
        """Copy until the last writer is gone; `pidfd` tells the helper's end."""
        os.close(self.writer)
        threading.Thread(target=self._copy, args=(os.dup(pidfd),), daemon=True).start()

    def abandon(self) -> None:
        """No helper was started."""
        for descriptor in (self.reader, self.writer, self._terminal):
            os.close(descriptor)

    def _copy(self, pidfd: int) -> None:
        waiting = [self.reader, pidfd]
        try:
            while True:
                readable = select.select(waiting, [], [])[0]
                if self.reader not in readable:
                    # What it left running may go on writing; nobody waits for that.
                    waiting = [self.reader]
                    self.drained.set()
                    continue
                data = os.read(self.reader, 65536)
                if not data:
                    return
                while data:
                    data = data[os.write(self._terminal, data) :]
        finally:
            self.drained.set()
            for descriptor in (self.reader, self._terminal, pidfd):
                os.close(descriptor)


class Entered:
    """A helper command that runs."""

    def __init__(self, pid: int, relays: tuple[Relay, ...] = ()) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._relays = relays
        for relay in relays:
            relay.start(self._pidfd)
        self._status: int | None = None

    def fileno(self) -> int:
        """A pidfd: readable when the command has ended."""
        return self._pidfd

    def wait(self, timeout_s: float | None = None) -> int:
        """Its status as a shell shows it; raises TimeoutError."""
        if self._status is None:
            if not select.select([self._pidfd], [], [], timeout_s)[0]:
                raise TimeoutError(f"the helper command still runs after {timeout_s} s")
            _, status = os.waitpid(self.pid, 0)
            for relay in self._relays:
                relay.drained.wait()
            os.close(self._pidfd)
            code = os.waitstatus_to_exitcode(status)
            self._status = code if code >= 0 else 128 - code
        return self._status

    def kill(self) -> None:
        """End it now, and wait for its end."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self.wait()


def _namespaces(payload: int) -> int:
    """Flags of the namespaces in which the payload differs from this process."""
    try:
        return sum(
            flag
            for name, flag in _JOINED.items()
            if os.stat(f"/proc/{payload}/ns/{name}").st_ino != os.stat(f"/proc/self/ns/{name}").st_ino
        )
    except OSError:
        raise HardenError("the sandbox's program has ended", hint="its namespaces are gone with it") from None


def _ops(spec: SandboxSpec, helper: Helper, namespaces: int, *, keyring: bool) -> tuple[Op, ...]:
    join = [op(Stage.PAYLOAD, Code.KEYRING, "join an empty session keyring")] if keyring else []
    return (
        op(Stage.OUTSIDE, Code.JOIN, "join the sandbox's namespaces", numbers=(namespaces,)),
        op(Stage.PAYLOAD, Code.CLOSE_FDS, "close every descriptor but 0, 1 and 2"),
        *join,
        op(Stage.PAYLOAD, Code.SESSION, "start a new session", flags=Flag.ALWAYS),
        *identity_ops(spec, os.geteuid(), os.getegid()),
        op(Stage.PAYLOAD, Code.CWD, f"change to {os.fsdecode(helper.cwd)}", strings=(helper.cwd,)),
        op(Stage.PAYLOAD, Code.NO_NEW_PRIVS, "set no_new_privs"),
        *rlimit_ops(spec.isolation.rlimits),
        base_filter_op(spec),
        op(
            Stage.PAYLOAD,
            Code.EXEC,
            f"execute the helper command {os.fsdecode(helper.program)}",
            strings=(helper.program,),
            lists=(helper.argv, helper.environment),
            numbers=(0, len(helper.argv), len(helper.environment)),
        ),
    )


def enter(
    spec: SandboxSpec,
    helper: Helper,
    *,
    payload: int,
    cgroup: int | None,
    keyring: bool,
    streams: tuple[int | None, int | None, int | None],
) -> Entered:
    """Start `helper` in the namespaces of the process `payload`; `keyring`: the host lets it join an empty one.

    No stream is ever a terminal: without `stdin` it reads /dev/null, and what it writes to one is copied there.
    Raises HardenError, and UsageError for a terminal as its standard input.
    """
    fill_standard_streams()
    if streams[0] is not None and os.isatty(streams[0]):
        raise UsageError("a helper's standard input is a terminal", hint="give it a file or a pipe, or nothing")
    try:
        target = os.pidfd_open(payload)
    except ProcessLookupError:
        raise HardenError("the sandbox's program has ended", hint="its namespaces are gone with it") from None
    program = open_harden_exec()
    header = Header(enter=True, target_fd=target, cgroup_fd=-1 if cgroup is None else cgroup)
    encoded = sealed_memfd("plan", encode(_ops(spec, helper, _namespaces(payload), keyring=keyring), header))
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    relays: list[Relay] = []
    outputs = []
    try:
        for number, stream in ((1, streams[1]), (2, streams[2])):
            descriptor = number if stream is None else stream
            if os.isatty(descriptor):
                relays.append(Relay(descriptor))
                descriptor = relays[-1].writer
            outputs.append(descriptor)
        inherited = [encoded, target, *([] if cgroup is None else [cgroup])]
        stdin = null if streams[0] is None else streams[0]
        pid = spawn(program, encoded, inherited, (stdin, outputs[0], outputs[1]))
    except BaseException:
        for relay in relays:
            relay.abandon()
        raise
    finally:
        for descriptor in (target, program, encoded, null):
            os.close(descriptor)
    return Entered(pid, tuple(relays))
