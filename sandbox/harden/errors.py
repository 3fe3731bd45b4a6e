"""Errors that a user sees: one sentence that names the call and its arguments, and the next step.

Only `harden.cli` prints them. Every class knows the exit status it ends the process with (README, "Exit codes").
"""

from __future__ import annotations

import errno as errno_module
import os

__all__ = [
    "ControlUnavailable",
    "DocumentError",
    "HardenError",
    "IncompleteRecording",
    "Inexpressible",
    "KernelError",
    "NotExecutable",
    "ProgramNotFound",
    "UnusableInput",
    "UsageError",
    "unforeseen",
]

_DEBUG = "HARDEN_DEBUG=1 shows which call that was"


class HardenError(Exception):
    """Something that harden cannot do: `message` says what, `hint` what to do next."""

    exit_status = 125

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HardenError):
    """The command line asks for something that does not exist or contradicts itself."""


class DocumentError(HardenError):
    """A file is not what its format says; `where` is the path inside the file, such as `$.rights.syscalls`."""

    def __init__(self, file: str, problem: str, *, where: str | None = None, hint: str | None = None) -> None:
        place = f"{file}: {where}" if where else file
        super().__init__(f"{place}: {problem}", hint=hint)
        self.file = file
        self.where = where


class KernelError(HardenError):
    """A system call failed: the call with its arguments as strace would print it, and its errno."""

    def __init__(self, call: str, errno: int, *, hint: str | None = None) -> None:
        name = errno_module.errorcode.get(errno, str(errno))
        super().__init__(f"{call}: {name} ({os.strerror(errno)})", hint=hint)
        self.call = call
        self.errno = errno


class ControlUnavailable(HardenError):
    """A required control cannot be enforced on this host: its name, the reason, and the fix."""

    def __init__(self, control: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{control}: cannot be enforced: {reason}", hint=hint)
        self.control = control
        self.reason = reason


class IncompleteRecording(HardenError):
    """The recording was written but does not hold everything that happened."""


class ProgramNotFound(HardenError):
    """The workload's program does not exist (status 127, as a shell gives)."""

    exit_status = 127


class NotExecutable(HardenError):
    """The workload's program exists but cannot be executed (status 126, as a shell gives)."""

    exit_status = 126


class Inexpressible(HardenError):
    """A format cannot hold what has to be in it, such as a command that is not UTF-8 in JSON."""


class UnusableInput(HardenError):
    """A gate could not judge what it was given (status 2: neither clean nor a finding)."""

    exit_status = 2


def unforeseen(problem: OSError) -> HardenError:
    """A failed call that nobody named: an OSError tells which file it is about, and not which call."""
    if not problem.errno:
        return HardenError(str(problem), hint=_DEBUG)
    files = [os.fsdecode(each) for each in (problem.filename, problem.filename2) if isinstance(each, str | bytes)]
    return KernelError(", ".join(map(repr, files)) or "a system call", problem.errno, hint=_DEBUG)
