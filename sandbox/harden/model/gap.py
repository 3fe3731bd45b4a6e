"""What a recording does not show, and why."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

__all__ = ["OPAQUE", "Completeness", "Gap", "GapKind"]


class GapKind(enum.StrEnum):
    """Why a recording does not show everything."""

    LOST_EVENTS = "lost-events"
    LIMIT_REACHED = "limit-reached"
    UNREADABLE_PATH = "unreadable-path"
    INTERRUPTED = "interrupted"
    IO_URING = "io-uring"
    FOREIGN_ARCH = "foreign-arch"
    NESTED_PTRACE = "nested-ptrace"
    ANONYMOUS_PROGRAM = "anonymous-program"
    """A program without a path ran (a memfd): no rule can be written for it."""
    NESTED_LISTENER = "nested-listener"
    """The program asked for a seccomp listener of its own; the recorder has the only one that there can be."""
    STILL_RUNNING = "still-running"
    """Processes outlived the program and were killed with the sandbox: what they would have done is not known."""


OPAQUE: Final = frozenset(
    {GapKind.IO_URING, GapKind.FOREIGN_ARCH, GapKind.NESTED_PTRACE, GapKind.NESTED_LISTENER, GapKind.ANONYMOUS_PROGRAM}
)
"""Gaps that no better recorder would close."""


class Completeness(enum.StrEnum):
    """How far a recording can be trusted to hold everything that happened."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    """Something that would have been recorded was lost."""
    OPAQUE = "opaque"
    """The program did something whose effects the recorder cannot see (io_uring, a foreign ABI, ptrace), or that
    no profile can express (a program in memory)."""


class Gap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """One reason why a run is incomplete or opaque, and how often it happened."""

    kind: GapKind
    detail: str
    count: int = 1
