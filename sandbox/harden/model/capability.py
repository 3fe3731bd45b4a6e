"""Capabilities, by the kernel's numbers and names. Source: include/uapi/linux/capability.h, capabilities(7)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from harden.errors import UsageError

__all__ = ["DOCKER_DEFAULT", "Capability", "require_known"]


class Capability(enum.IntEnum):
    """One capability; `int(c)` is its bit."""

    CAP_CHOWN = 0
    CAP_DAC_OVERRIDE = 1
    CAP_DAC_READ_SEARCH = 2
    CAP_FOWNER = 3
    CAP_FSETID = 4
    CAP_KILL = 5
    CAP_SETGID = 6
    CAP_SETUID = 7
    CAP_SETPCAP = 8
    CAP_LINUX_IMMUTABLE = 9
    CAP_NET_BIND_SERVICE = 10
    CAP_NET_BROADCAST = 11
    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_IPC_LOCK = 14
    CAP_IPC_OWNER = 15
    CAP_SYS_MODULE = 16
    CAP_SYS_RAWIO = 17
    CAP_SYS_CHROOT = 18
    CAP_SYS_PTRACE = 19
    CAP_SYS_PACCT = 20
    CAP_SYS_ADMIN = 21
    CAP_SYS_BOOT = 22
    CAP_SYS_NICE = 23
    CAP_SYS_RESOURCE = 24
    CAP_SYS_TIME = 25
    CAP_SYS_TTY_CONFIG = 26
    CAP_MKNOD = 27
    CAP_LEASE = 28
    CAP_AUDIT_WRITE = 29
    CAP_AUDIT_CONTROL = 30
    CAP_SETFCAP = 31
    CAP_MAC_OVERRIDE = 32
    CAP_MAC_ADMIN = 33
    CAP_SYSLOG = 34
    CAP_WAKE_ALARM = 35
    CAP_BLOCK_SUSPEND = 36
    CAP_AUDIT_READ = 37
    CAP_PERFMON = 38
    CAP_BPF = 39
    CAP_CHECKPOINT_RESTORE = 40

    @classmethod
    def parse(cls, text: str) -> Capability:
        """The capability called `text`, with or without CAP_ and in any case; UsageError for an unknown name."""
        name = text.upper()
        try:
            return cls[name if name.startswith("CAP_") else f"CAP_{name}"]
        except KeyError:
            raise UsageError(f"unknown capability {text!r}", hint="names are those of capabilities(7)") from None


def require_known(names: Iterable[str]) -> None:
    """ValueError for a name that no capability has."""
    for name in names:
        if name not in Capability.__members__:
            raise ValueError(f"unknown capability {name!r}")


DOCKER_DEFAULT: Final = frozenset(
    {
        Capability.CAP_CHOWN,
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FSETID,
        Capability.CAP_FOWNER,
        Capability.CAP_MKNOD,
        Capability.CAP_NET_RAW,
        Capability.CAP_SETGID,
        Capability.CAP_SETUID,
        Capability.CAP_SETFCAP,
        Capability.CAP_SETPCAP,
        Capability.CAP_NET_BIND_SERVICE,
        Capability.CAP_SYS_CHROOT,
        Capability.CAP_KILL,
        Capability.CAP_AUDIT_WRITE,
    }
)
"""The set that container engines give by default, and `harden trace` too."""
