"""What a program did that its calls alone do not show."""

from __future__ import annotations

import enum

from harden.model.phase import INIT_ONLY, Phase
from harden.model.seen import Seen
from harden.model.stack import NO_STACK

__all__ = ["RingOperationSeen", "SignalSeen", "SignalTarget"]


class SignalTarget(enum.StrEnum):
    """Whom a signal went to; numbers of processes mean nothing in the next run."""

    SELF = "self"
    """A thread of the sender's own process."""
    CHILD = "child"
    PARENT = "parent"
    OTHER = "other"
    """Another process of the program."""
    OUTSIDE = "outside"
    """A process that is not recorded, such as the sandbox's PID 1."""


class SignalSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """A signal that the program sent and that was delivered."""

    signal: str
    """SIGTERM, or SIGRTMIN+3."""
    target: SignalTarget
    syscall: str = ""
    """Name of the call that sent it (kill, tgkill, …); empty in recordings of earlier versions."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None


class RingOperationSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """An operation that the program submitted to io_uring. What it did to which file is not seen."""

    operation: str
    """The kernel's name without IORING_OP_ (OPENAT), or its number."""
    syscall: str = ""
    """Name of the call that submitted it, io_uring_enter; empty where a thread of the kernel took it from the ring
    (IORING_SETUP_SQPOLL), and in recordings of earlier versions."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None
