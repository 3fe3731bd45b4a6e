"""Disturbing a program that is being recorded, so that it shows what it needs when things go wrong."""

from __future__ import annotations

import os
import re
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harden.errors import HardenError
from harden.kernel.memory_filesystem import fill, room, set_size
from harden.kernel.process_tree import descendants
from harden.launch.memory_folders import opened_memory
from harden.launch.spawn import Sandbox
from harden.model.sandbox import Bind
from harden.model.scenario import Perturbation, Scenario

__all__ = ["check_perturbation", "disturb", "disturbed_from_start", "is_from_start", "resolver_without_server"]

_ENDING: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT}
    | {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}
)
"""Not sent: they ask a program to end, which a scenario does last, or tell it of an error that it did not make."""
_RESOLVER: Final = b"/etc/resolv.conf"
_NO_SERVER: Final = b"nameserver 255.255.255.255\noptions timeout:1 attempts:1\n"
"""resolv.conf(5) with an address to which no packet leaves, on any network: EACCES or ENETUNREACH (ip(7))."""
_NOTHING: Final = frozenset({Perturbation.NO_DNS, Perturbation.RESTART, Perturbation.PIPE, Perturbation.TERMINAL})
"""What is done before the program starts."""


def check_perturbation(perturbation: Perturbation | None) -> None:
    """Raises HardenError for a disturbance that this user cannot make."""
    if perturbation is Perturbation.ENOSPC and os.geteuid() != 0:
        raise HardenError(
            "perturbation enospc: an ordinary user cannot limit the sandbox's file systems while it runs",
            hint="run harden trace as root, or take enospc out of the scenario's perturb",
        )


def is_from_start(perturbation: Perturbation | None, scenario: Scenario | None) -> bool:
    """Whether the program is disturbed from its start to its end, and not only while the commands are repeated."""
    without_commands = scenario is None or not any(step.run for step in scenario.step)
    return perturbation is Perturbation.NO_DNS or (perturbation is Perturbation.ENOSPC and without_commands)


@contextmanager
def disturbed_from_start(
    perturbation: Perturbation | None, scenario: Scenario | None, sandbox: Sandbox, *, init_pid: int
) -> Iterator[None]:
    """What is done to the sandbox before its program starts and taken back when it has ended."""
    if perturbation is Perturbation.ENOSPC and is_from_start(perturbation, scenario):
        with _no_more_room(sandbox, init_pid):
            yield
    else:
        yield


@contextmanager
def resolver_without_server(perturbation: Perturbation | None) -> Iterator[tuple[Bind, ...]]:
    """What no-dns shows the program in place of /etc/resolv.conf; nothing for the others."""
    if perturbation is not Perturbation.NO_DNS:
        yield ()
        return
    with tempfile.NamedTemporaryFile(prefix="harden-resolv-") as file:
        file.write(_NO_SERVER)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        yield (Bind(source=os.fsencode(file.name), target=_RESOLVER),)


def disturb(
    perturbation: Perturbation,
    sandbox: Sandbox,
    *,
    init_pid: int,
    repeat: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Do to the running program what `perturbation` says; `repeat` runs the scenario's commands once more.

    Nothing for what was done before the program started.
    """
    if perturbation in _NOTHING:
        return
    tell(f"perturbation: {perturbation}")
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
        case Perturbation.ENOSPC:
            with _no_more_room(sandbox, init_pid):
                repeat()
            repeat()


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
    for pid in descendants(init_pid):
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


@contextmanager
def _no_more_room(sandbox: Sandbox, init_pid: int) -> Iterator[None]:
    """What the program writes into memory, its copies of the host's files too, finds no free page (ENOSPC); the sizes
    are as before at the end."""
    with opened_memory(sandbox.plan, supervisor=sandbox.pid, init=init_pid) as folders:
        sizes = {folder: room(folder)[0] for folder in folders}
        try:
            for folder in folders:
                fill(folder)
            yield
        finally:
            for folder, size in sizes.items():
                set_size(folder, size)


def _payload(init_pid: int) -> int:
    """The host's id of the program itself: it is the sandbox's process 2 (NSpid in proc_pid_status(5)); 0 if gone."""
    for pid in descendants(init_pid):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        if re.search(r"^NSpid:.*\t2$", status, re.MULTILINE):
            return pid
    return 0
