"""What a program did with a socket."""

from __future__ import annotations

import enum
import re
from typing import Final

from harden.model.file_operation import OK
from harden.model.path_text import from_text
from harden.model.phase import INIT_ONLY, Phase
from harden.model.seen import Seen
from harden.model.stack import NO_STACK

__all__ = ["SocketOperation", "SocketSeen"]

_KERNEL_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_]*|[0-9]+")
_MOST_PORT: Final = 65535


class SocketOperation(enum.StrEnum):
    """What was done with a socket."""

    CREATE = "create"
    BIND = "bind"
    LISTEN = "listen"
    CONNECT = "connect"
    SEND = "send"
    """sendto or sendmsg with an address."""


class SocketSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """A socket operation. Families, types and protocols by their kernel names (AF_INET, SOCK_STREAM) or numbers."""

    operation: SocketOperation
    family: str
    type: str = ""
    protocol: int = 0
    address: str = ""
    """`127.0.0.1`, `::1`; for AF_UNIX path text, or `@` and the abstract name; empty for an unnamed one."""
    port: int | None = None
    result: str = OK
    """As of FileSeen."""
    syscall: str = ""
    """Name of the call; empty in recordings of earlier versions."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None

    def __post_init__(self) -> None:
        if not _KERNEL_NAME.fullmatch(self.family) or not _KERNEL_NAME.fullmatch(self.type or "0"):
            raise ValueError(f"no socket is of family {self.family!r} and type {self.type!r}")
        if self.port is not None and not 0 <= self.port <= _MOST_PORT:
            raise ValueError(f"ports go from 0 to {_MOST_PORT}, not {self.port}")
        from_text(self.address)
