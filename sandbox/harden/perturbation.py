"""Disturbing a program that is being recorded, so that it shows what it needs when things go wrong."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harden.launch.spawn import Sandbox
from harden.model.scenario import Perturbation

__all__ = ["disturb"]

_ENDING: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT}
    | {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}
)
"""Not sent: they ask a program to end, which a scenario does last, or tell it of an error that it did not make."""


def disturb(
    perturbation: Perturbation,
    sandbox: Sandbox,
    *,
    init_pid: int,
    repeat: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Do to the running program what `perturbation` says; `repeat` runs the scenario's commands once more.

    How the streams are connected was decided before the program started.
    """
    payload_pid = _payload(init_pid)
    match perturbation:
        case Perturbation.RELOAD:
            _send(sandbox, payload_pid, _caught(payload_pid) & {signal.SIGHUP}, repeat, tell)
        case Perturbation.SIGNALS:
            _send(sandbox, payload_pid, _caught(payload_pid) - _ENDING, repeat, tell)
        case Perturbation.EMFILE:
            with _no_more_files(init_pid):
                repeat()
            repeat()
        case Perturbation.PIPE | Perturbation.TERMINAL:
            pass


def _send(
    sandbox: Sandbox, payload_pid: int, numbers: set[int], repeat: Callable[[], None], tell: Callable[[str], None]
) -> None:
    if not numbers:
        tell("the program catches no such signal: nothing was sent")
    for number in sorted(numbers):
        if sandbox.poll():
            return
        tell(f"sending {_name(number)}")
        sandbox.signal(number)
        repeat()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _caught(pid: int) -> set[int]:
    """The signals that a process has handlers for (SigCgt in proc_pid_status(5)); none when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    match = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    mask = int(match[1], 16) if match else 0
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@contextmanager
def _no_more_files(init_pid: int) -> Iterator[None]:
    """Every process of the program is at its limit of open files (EMFILE); lifted again at the end."""
    limits = {}
    for pid in _below(init_pid):
        try:
            highest = max(map(int, os.listdir(f"/proc/{pid}/fd")), default=-1)
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(highest + 1, soft), hard))
        except (OSError, ValueError):
            # It ended while it was looked at: nothing is left to limit.
            if Path(f"/proc/{pid}").exists():
                raise
            continue
        limits[pid] = soft, hard
    try:
        yield
    finally:
        for pid, limit in limits.items():
            if Path(f"/proc/{pid}").exists():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)


def _payload(init_pid: int) -> int:
    """The host's id of the program itself: it is the sandbox's process 2 (NSpid in proc_pid_status(5)); 0 if gone."""
    for pid in _below(init_pid):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        if re.search(r"^NSpid:.*\t2$", status, re.MULTILINE):
            return pid
    return 0


def _below(init_pid: int) -> list[int]:
    """The host's ids of all processes that descend from `init_pid`."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(folder.name)] = int(fields[1])
    found: list[int] = []
    waiting = [init_pid]
    while waiting:
        children = [pid for pid, parent in parents.items() if parent in waiting]
        found += children
        waiting = children
    return sorted(found)
