"""Errnos by name, the kernel's internal restart codes included."""

from __future__ import annotations

import errno
from typing import Final

__all__ = ["errno_name"]

_RESTARTS: Final = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    515: "ENOIOCTLCMD",
    516: "ERESTART_RESTARTBLOCK",
    517: "EPROBE_DEFER",
    524: "ENOTSUPP",
    529: "EIOCBQUEUED",
    530: "EIOCBRETRY",
}
"""linux/errno.h. A call that a signal interrupted ends with a restart code, is made again or becomes EINTR."""


def errno_name(number: int) -> str:
    """The name of a positive errno; `E` and the number for one that has none."""
    return errno.errorcode.get(number) or _RESTARTS.get(number) or f"E{number}"
