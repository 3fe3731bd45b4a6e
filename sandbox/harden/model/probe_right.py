"""Which rights of a profile let the prober's actions through: an attack that works must be one that was granted."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.cover import FileIndex
from harden.model.file_operation import FileOperation
from harden.model.network_rule import ANY_PORT, NetworkOperation
from harden.model.profile import Rights

__all__ = ["PROBE_RIGHTS", "ProbeRight", "granting_rights"]

_HTTPS: Final = 443
_DISCARD: Final = 9


class ProbeRight(msgspec.Struct, frozen=True, kw_only=True):
    """What an action needs beside its system call."""

    path: str = ""
    operation: FileOperation | None = None
    capability: Capability | None = None
    port: int | None = None
    """Of a TCP connection."""
    arch: Arch | None = None
    """The ABI that it calls by, in place of a call."""


def _file(path: str, operation: FileOperation) -> ProbeRight:
    return ProbeRight(path=path, operation=operation)


_ADMIN: Final = ProbeRight(capability=Capability.CAP_SYS_ADMIN)
PROBE_RIGHTS: Final = {
    "exec-shell": _file("/bin/sh", FileOperation.EXEC),
    "write-passwd": _file("/etc/passwd", FileOperation.WRITE),
    "read-shadow": _file("/etc/shadow", FileOperation.READ),
    "list-root-home": _file("/root", FileOperation.LIST),
    "create-usr-bin": _file("/usr/bin", FileOperation.CREATE),
    "write-init-memory": _file("/proc/1/mem", FileOperation.WRITE),
    "write-core-pattern": _file("/proc/sys/kernel/core_pattern", FileOperation.WRITE),
    "open-by-handle": ProbeRight(capability=Capability.CAP_DAC_READ_SEARCH),
    "connect-loopback": ProbeRight(port=_DISCARD),
    "connect-out": ProbeRight(port=_HTTPS),
    "socket-packet": ProbeRight(capability=Capability.CAP_NET_RAW),
    "mount": _ADMIN,
    "fsopen": _ADMIN,
    "umount": _ADMIN,
    "pivot-root": _ADMIN,
    "setns": _ADMIN,
    "chroot": ProbeRight(capability=Capability.CAP_SYS_CHROOT),
    "kexec": ProbeRight(capability=Capability.CAP_SYS_BOOT),
    "load-module": ProbeRight(capability=Capability.CAP_SYS_MODULE),
    "reboot": ProbeRight(capability=Capability.CAP_SYS_BOOT),
    "set-time": ProbeRight(capability=Capability.CAP_SYS_TIME),
    "set-hostname": _ADMIN,
    "kernel-log": ProbeRight(capability=Capability.CAP_SYSLOG),
    "change-user": ProbeRight(capability=Capability.CAP_SETUID),
    "abi-i386": ProbeRight(arch=Arch.I386),
    "abi-x32": ProbeRight(arch=Arch.X32),
}
"""By action; one that is not here needs nothing but its call. Source: the manual pages of the calls."""


def granting_rights(action: str, call: str, rights: Rights, *, path: str = "") -> tuple[str, ...]:
    """The rights that let `action` through, which makes the system call `call`; empty where one is not granted.

    `path`: where the path of its row leads once links are followed, if it is another one.
    """
    row = PROBE_RIGHTS.get(action, ProbeRight())
    needs = [row.arch in rights.architectures] if row.arch else [call in rights.all_syscalls()]
    found = [f"architecture {row.arch}" if row.arch else call]
    if row.operation is not None:
        where = path or row.path
        needs.append(row.operation in FileIndex(rights).operations(where.encode()))
        found.append(f"{row.operation} {where}")
    if row.capability is not None:
        needs.append(row.capability in rights.all_capabilities())
        found.append(row.capability.name)
    if row.port is not None:
        rules = [
            rule.render()
            for rule in rights.all_network()
            if (rule.operation, rule.protocol) == (NetworkOperation.CONNECT, "tcp")
            and rule.port in (row.port, ANY_PORT)
        ]
        needs.append(bool(rules))
        found += rules
    return tuple(found) if all(needs) else ()
