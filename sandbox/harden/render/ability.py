"""What a profile lets a program do, in the terms in which other tools restrict it.

Each answer errs to the side of the profile: where a rule does not rule an argument, every value of it is granted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from harden.model.guarded_root import OWN, is_beneath
from harden.model.network_rule import NetworkOperation, NetworkRule
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.profile import Profile, Rights
from harden.model.recording import FileOperation
from harden.model.resource_limit import LimitName
from harden.model.syscall_argument_names import ADDRESS_FAMILIES

__all__ = [
    "CHANGES",
    "NAMESPACE_FLAGS",
    "Granted",
    "changes_beneath",
    "has_arguments",
    "has_files",
    "has_inet",
    "has_limits",
    "has_network",
    "has_other_limits",
    "has_unix",
    "inet_rules",
    "is_granted",
    "makes_executable",
    "namespaces",
    "reaches_outside",
    "socket_families",
    "uses_beneath",
]

NAMESPACE_FLAGS: Final = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
}
"""Kinds of namespaces by their CLONE_NEW* flag (clone(2)); that of time has no flag there."""
_PROT_WRITE: Final = 2
_PROT_EXEC: Final = 4
_INET: Final = ("AF_INET", "AF_INET6")
_LOOPBACK: Final = ("127.", "::1")
CHANGES: Final = frozenset(FileOperation) - {
    FileOperation.STAT,
    FileOperation.LIST,
    FileOperation.READ,
    FileOperation.LOCK,
    FileOperation.IOCTL,
    FileOperation.EXEC,
    FileOperation.MAP,
    FileOperation.CONNECT,
}
"""Operations that a read-only file system refuses."""

Granted = Collection[tuple[PathPattern, frozenset[FileOperation]]]
"""File rights as `Rights.all_files` gives them, parsed once."""


def is_granted(rights: Rights, *names: str) -> bool:
    """Whether one of the calls is granted, with whatever arguments."""
    return bool(rights.all_syscalls() & set(names))


def namespaces(rights: Rights) -> frozenset[str]:
    """The kinds of namespaces that the program may make or enter."""
    if "clone3" in rights.syscalls.get(Origin.MANUAL, ()):
        # Its flags are behind a pointer: a generated profile answers ENOSYS, but a person may grant it.
        return frozenset(NAMESPACE_FLAGS)
    flags = 0
    for call in ("clone", "unshare", "setns"):
        if not is_granted(rights, call):
            continue
        values = rights.argument_values(call)
        if values is None or any(row[0] is None or (call == "setns" and row[0] == 0) for row in values):
            return frozenset(NAMESPACE_FLAGS)
        for row in values:
            flags |= row[0] or 0
    return frozenset(kind for kind, bit in NAMESPACE_FLAGS.items() if flags & bit)


def makes_executable(rights: Rights) -> bool:
    """Whether memory may be writable and executable at once, or made executable after it was mapped."""
    for call, is_bad in (("mmap", _is_both), ("mprotect", _is_executable), ("pkey_mprotect", _is_executable)):
        if not is_granted(rights, call):
            continue
        values = rights.argument_values(call)
        if values is None or any(row[0] is None or is_bad(row[0]) for row in values):
            return True
    return is_granted(rights, "shmat")


def _is_both(protection: int) -> bool:
    return protection & _PROT_WRITE != 0 and protection & _PROT_EXEC != 0


def _is_executable(protection: int) -> bool:
    return protection & _PROT_EXEC != 0


def socket_families(rights: Rights) -> frozenset[str] | None:
    """The families of which sockets may be made, AF_* names or numbers; None when any."""
    found: set[str] = set()
    for call in ("socket", "socketpair"):
        if not is_granted(rights, call):
            continue
        values = rights.argument_values(call)
        if values is None or any(row[0] is None for row in values):
            return None
        found |= {ADDRESS_FAMILIES.get(row[0], str(row[0])) for row in values if row[0] is not None}
    return frozenset(found)


def inet_rules(rights: Rights, operation: NetworkOperation) -> tuple[NetworkRule, ...]:
    """The rules of one operation on IP addresses."""
    return tuple(rule for rule in rights.all_network() if rule.family in _INET and rule.operation is operation)


def reaches_outside(rule: NetworkRule) -> bool:
    """Whether the rule is about more than the loopback interface."""
    return rule.family in _INET and not rule.address.startswith(_LOOPBACK)


def has_inet(profile: Profile) -> bool:
    """Whether the profile has a rule on IP addresses."""
    return any(rule.family in _INET for rule in profile.rights.all_network())


def has_limits(profile: Profile) -> bool:
    """Whether the profile limits a resource."""
    return bool(profile.limits())


def has_other_limits(profile: Profile) -> bool:
    """Whether the profile limits anything but memory."""
    return bool(profile.limits().keys() - {LimitName.MEMORY})


def has_network(profile: Profile) -> bool:
    """Whether the profile has a network rule."""
    return bool(profile.rights.all_network())


def has_unix(profile: Profile) -> bool:
    """Whether the profile has a rule on UNIX sockets."""
    return any(rule.family == "AF_UNIX" for rule in profile.rights.all_network())


def has_arguments(profile: Profile) -> bool:
    """Whether the profile rules on the arguments of a call."""
    return bool(profile.rights.arguments)


def has_files(profile: Profile) -> bool:
    """Whether the profile has a right on a file."""
    return any(True for _ in profile.rights.all_files())


def uses_beneath(granted: Granted, *folders: bytes) -> bool:
    """Whether a right is on something in one of the folders, on one itself, or on a pattern that may reach into it."""
    return any(_touches(pattern, folder) for pattern, _ in granted for folder in folders)


def changes_beneath(granted: Granted, *folders: bytes) -> bool:
    """Whether a right that a read-only mount refuses is on something in one of the folders."""
    return any(
        _touches(pattern, folder) for pattern, operations in granted if operations & CHANGES for folder in folders
    )


def _touches(pattern: PathPattern, folder: bytes) -> bool:
    if pattern.is_literal:
        return is_beneath(pattern.path, folder)
    return is_beneath(pattern.folder, folder) or (is_beneath(folder, pattern.folder) and pattern.folder not in OWN)
