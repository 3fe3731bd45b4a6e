"""The scenario: what drives a program while it is recorded (TOML), so that one file replays a run."""

from __future__ import annotations

import enum
import math
import signal
from typing import Final, Literal

import msgspec

__all__ = ["LONGEST_S", "SCENARIO_FORMAT", "Perturbation", "Ready", "Scenario", "Step", "Stop", "signal_number"]

SCENARIO_FORMAT: Final = "harden-scenario/1"
LONGEST_S: Final = 10 * 365 * 86400.0
"""More seconds than anybody waits, and fewer than the calls that wait can take."""


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_S):
        raise ValueError(f"{name} {seconds:g} is not 0 to {LONGEST_S:.0f} seconds")


def _check_words(name: str, words: tuple[str, ...]) -> None:
    if any("\0" in word for word in words):
        raise ValueError(f"{name} has a NUL in it, which ends every text that is given to a program")


class Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the program counts as started: exactly one of these."""

    port: int | None = None
    """A TCP port on 127.0.0.1 inside accepts connections."""
    path: str | None = None
    """A path exists inside."""
    text: str | None = None
    """The program has written this to its standard output or error."""
    seconds: float | None = None
    """This much time has passed."""
    within_s: float = 30.0
    """Give up after this long."""

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.port, self.path, self.text, self.seconds)) != 1:
            raise ValueError("ready takes exactly one of port, path, text, seconds")
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"ready.port {self.port} is no TCP port")
        if "" in (self.path, self.text):
            raise ValueError("ready.path or ready.text is empty, which says nothing of the program")
        _check_words("ready.path", (self.path or "",))
        _check_seconds("ready.seconds", self.seconds)
        _check_seconds("ready.within_s", self.within_s)


class Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End the program: send `signal`, wait, and compare its exit status."""

    signal: str = "TERM"
    within_s: float = 10.0
    expect_status: int | None = None

    def __post_init__(self) -> None:
        signal_number(self.signal)
        _check_seconds("stop.within_s", self.within_s)


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: exactly one of `run`, `signal`, `idle_s`, `stop`."""

    run: tuple[str, ...] | None = None
    """A command run in the sandbox's namespaces, not recorded and not filtered; its status must be `expect_status`,
    unless the program ends first and it is ended with the sandbox."""
    expect_status: int = 0
    within_s: float = 60.0
    signal: str | None = None
    idle_s: float | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.run, self.signal, self.idle_s, self.stop)) != 1:
            raise ValueError("a step takes exactly one of run, signal, idle_s, stop")
        if self.run == ():
            raise ValueError("a step's run needs at least a program")
        _check_words("a step's run", self.run or ())
        _check_seconds("within_s", self.within_s)
        _check_seconds("idle_s", self.idle_s)
        if self.signal is not None:
            signal_number(self.signal)


class Perturbation(enum.StrEnum):
    """A disturbance, each in a run of its own: what a program needs when it is disturbed is rarely seen otherwise."""

    RELOAD = "reload"
    """SIGHUP, if the program catches it; then the commands again."""
    SIGNALS = "signals"
    """Every signal that the program catches and that does not ask it to end; after each the commands again."""
    EMFILE = "emfile"
    """No process of the program can open one more file while the commands run; then they run again with the limit
    lifted."""
    ENOSPC = "enospc"
    """There is no free page in the memory that takes what the program writes (its copies of the host's files, /tmp,
    /run, /dev/shm and the like) while the commands run: ENOSPC. Then they run again with as much room as before.
    Without commands: from the program's start to its end. As on a full disk, what the program removes makes room again.
    Folders that are bound writable are the host's and are left alone."""
    NO_DNS = "no-dns"
    """From its start no name server that /etc/resolv.conf names can be reached, whatever the network is; /etc/hosts is
    as it was."""
    RESTART = "restart"
    """The program is started, taken through the steps and ended without being recorded, then once more in the same
    files: what it needs where its own files are there already."""
    PIPE = "stdio-pipe"
    """Input at its end and output are pipes."""
    TERMINAL = "stdio-terminal"
    """Input and output are a terminal."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program, when it is ready, and what happens to it then."""

    format: Literal["harden-scenario/1"]
    command: tuple[str, ...] = ()
    """The program and its arguments; the command line of `harden trace` overrides it."""
    ready: Ready | None = None
    step: tuple[Step, ...] = ()
    perturb: tuple[Perturbation, ...] = ()
    """Beside the run that the steps describe, one more for each of these. It happens before the step that stops the
    program, unless it says otherwise; commands that fail in it do not end the run, and the program's status in it is
    not that of harden trace."""

    def __post_init__(self) -> None:
        _check_words("command", self.command)


def signal_number(name: str) -> int:
    """The number of a signal named with or without SIG; ValueError for an unknown one."""
    full = name if name.startswith("SIG") else f"SIG{name}"
    try:
        return int(signal.Signals[full])
    except KeyError:
        raise ValueError(f"unknown signal {name!r}") from None
