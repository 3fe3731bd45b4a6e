"""How a run ended and what it took: what `harden run --report` writes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["REPORT_FORMAT", "EndReport", "EndUsage", "Ending"]

REPORT_FORMAT: Final = "harden-report/1"


class Ending(enum.StrEnum):
    """How it ended. `unfinished`: it runs, or harden itself was killed; `killed`: harden ended it, because its own
    parent had ended or for the reason that `error` tells.
    """

    UNFINISHED = "unfinished"
    NOT_STARTED = "not-started"
    EXITED = "exited"
    SIGNALED = "signaled"
    TIMED_OUT = "timed-out"
    KILLED = "killed"


class EndUsage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was used, counted by the sandbox's cgroup for all its processes unless it says otherwise; None: unknown.

    The files are those of admin-guide/cgroup-v2.rst. What harden does inside until the program starts is counted, too,
    but PID 1 of the sandbox, which stays harden's, is none of `pids_peak`.
    """

    elapsed_s: float | None = None
    """From the program's first instruction to the end of its last process."""
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    cpu_throttled_s: float | None = None
    """How long it waited because of `--cpus`: throttled_usec of cpu.stat."""
    memory_peak_bytes: int | None = None
    swap_peak_bytes: int | None = None
    memory_high_events: int | None = None
    """Times that it was slowed down because of `--memory-high`."""
    oom_events: int | None = None
    """Times that its memory limit was reached and nothing could be freed."""
    oom_kills: int | None = None
    """Of its processes, by any OOM killer: the host's, too, where there are no `oom_events`."""
    pids_peak: int | None = None
    """Processes and threads that lived at once."""
    forks_refused: int | None = None
    """Times that a process or thread could not be made because of the pids limit."""
    process_cpu_user_s: float | None = None
    """Of the program's own process and the children that it waited for, as `process_cpu_system_s` (wait4(2))."""
    process_cpu_system_s: float | None = None
    process_memory_bytes: int | None = None
    """What the largest of these had in memory at most: ru_maxrss of getrusage(2)."""


class EndReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The end of one run, with an exit status or a signal or neither, never both."""

    format: str = REPORT_FORMAT
    ending: Ending
    program: str = ""
    """Its path inside."""
    exit_status: int | None = None
    signal: int | None = None
    timed_out: bool = False
    error: str = ""
    """Why harden did not start it, or ended it."""
    hint: str = ""
    usage: EndUsage = EndUsage()
    unknown: Mapping[str, str] = {}
    """Why each field of `usage` is None that is None; empty for a run that did not end yet, or was never begun."""
