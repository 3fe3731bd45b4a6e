"""A mount that a program made, or asked for."""

from __future__ import annotations

from harden.model.file_operation import OK
from harden.model.phase import INIT_ONLY, Phase
from harden.model.seen import Seen
from harden.model.stack import NO_STACK

__all__ = ["MountSeen"]


class MountSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """The type of a file system that was mounted by mount(2) or opened to be mounted by fsopen(2).

    What is mounted where is among the files, with which flags among the arguments.
    """

    filesystem: str
    """Path text: the kernel takes any bytes."""
    syscall: str
    result: str = OK
    """As of FileSeen."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None
