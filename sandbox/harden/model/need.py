"""What a run needs: everything it did, without the attempts that failed and what the kernel only looked at.

The generator grants exactly this (generalised, and with the baseline added), and `cover` checks against it.
"""

from __future__ import annotations

import ipaddress
import posixpath
from collections import defaultdict
from typing import Final

from harden.model.file_operation import ABSENT, CAN_HAVE_WORKED, PRESENT
from harden.model.network_rule import NetworkOperation, NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.recording import (
    CapabilityNamespace,
    CapabilitySeen,
    FileOperation,
    Phase,
    Recording,
    Run,
    SocketOperation,
    SocketSeen,
)

__all__ = [
    "capability_needs",
    "file_needs",
    "network_needs",
    "normal_path",
    "serving_needs",
    "socket_rule",
    "unusable_sockets",
]

_EXISTED: Final = frozenset({"EEXIST", "EISDIR", "ENOTEMPTY", "EINVAL", "ELOOP", "EXDEV", "ENXIO", "ENODATA", PRESENT})
"""Failures that tell the program that the path is there: without it the answer would be another one."""

_MISSING: Final = frozenset({"ENOENT", ABSENT})

_UNDER_WAY: Final = frozenset({*CAN_HAVE_WORKED, "EINPROGRESS", "EINTR"})
"""connect(2) on a non-blocking or interrupted socket goes on after these."""

_REFUSED_BY_PEER: Final = frozenset({"ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT"})
"""connect(2), send(2): the network answered, not a policy; without the rule the program would get EACCES instead."""

_NO_PEER: Final = frozenset({FileOperation.READ, FileOperation.WRITE, FileOperation.APPEND})
"""What open(2) was let do when ENXIO says that a FIFO has no reader or a device is not there."""

_REMOVED: Final = frozenset({FileOperation.UNLINK, FileOperation.RMDIR})
_MADE: Final = frozenset(
    {
        FileOperation.CREATE,
        FileOperation.LINK,
        FileOperation.MKDIR,
        FileOperation.MKFIFO,
        FileOperation.MKNOD,
        FileOperation.MKSOCK,
        FileOperation.SYMLINK,
    }
)

_RULED: Final = {
    SocketOperation.BIND: NetworkOperation.BIND,
    SocketOperation.CONNECT: NetworkOperation.CONNECT,
    SocketOperation.SEND: NetworkOperation.CONNECT,
}
_UNIX_FILE: Final = {
    NetworkOperation.BIND: FileOperation.MKSOCK,
    NetworkOperation.CONNECT: FileOperation.CONNECT,
}
_OVERRIDE: Final = "CAP_DAC_OVERRIDE"
_READ_SEARCH: Final = "CAP_DAC_READ_SEARCH"


def normal_path(text: str) -> bytes | None:
    """The path that path text names, `.`, `..` and repeated slashes resolved; None for what is no path (`pipe:[1]`)."""
    path = from_text(text)
    if not path.startswith(b"/") or b"\0" in path:
        return None
    return posixpath.normpath(b"/" + path.lstrip(b"/"))


def capability_needs(run: Run) -> frozenset[str]:
    """The capabilities whose checks in the sandbox's own namespace succeeded, by name.

    To read or search, the kernel asks for CAP_DAC_READ_SEARCH and, when that is missing, for CAP_DAC_OVERRIDE
    (fs/namei.c, generic_permission). So where a program got CAP_DAC_OVERRIDE no more often than it was denied
    CAP_DAC_READ_SEARCH in the same call, the lesser one suffices.
    """
    counts: dict[tuple[str, bool], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for seen in run.capabilities:
        if _counts(seen):
            counts[seen.capability, seen.granted][seen.executable, seen.syscall] += seen.count
    needed = {capability for capability, granted in counts if granted}
    if _OVERRIDE in needed:
        searches = counts[_READ_SEARCH, False]
        if all(count <= searches.get(where, 0) for where, count in counts[_OVERRIDE, True].items()):
            needed = needed - {_OVERRIDE} | {_READ_SEARCH}
    return frozenset(needed)


def serving_needs(recording: Recording) -> frozenset[str]:
    """Names of the system calls and capabilities that were needed in the phase `serving`, in any run."""
    found: set[str] = set()
    for run in recording.runs:
        found |= {seen.name for seen in run.syscalls if Phase.SERVING in seen.phases}
        serving = (seen for seen in run.capabilities if seen.granted and _counts(seen) and Phase.SERVING in seen.phases)
        found |= {seen.capability for seen in serving}
    return frozenset(found)


def _counts(seen: CapabilitySeen) -> bool:
    return not seen.probing and seen.namespace is CapabilityNamespace.SANDBOX


def file_needs(run: Run) -> dict[bytes, frozenset[FileOperation]]:
    """The operations that succeeded, or may have where that is unknown, by path; programs and libraries included.

    Removing what was not there counts too where the same run makes it: the next run finds it.
    """
    needs: dict[bytes, set[FileOperation]] = defaultdict(set)
    missed: dict[bytes, set[FileOperation]] = defaultdict(set)
    for seen in run.files:
        path = normal_path(seen.path)
        if path is None:
            continue
        if seen.result in CAN_HAVE_WORKED:
            operation = seen.operation
            needs[path].add(FileOperation.LIST if seen.folder and operation is FileOperation.READ else operation)
        elif seen.result in _EXISTED:
            needs[path].add(FileOperation.STAT)
            if seen.result == "ENXIO" and seen.operation in _NO_PEER:
                needs[path].add(seen.operation)
        elif seen.result in _MISSING and seen.operation in _REMOVED:
            missed[path].add(seen.operation)
    for rule in network_needs(run):
        if rule.family == "AF_UNIX" and rule.address.startswith("/"):
            needs[PathPattern.parse(rule.address).path].add(_UNIX_FILE[rule.operation])
    for path, operations in missed.items():
        # What this run left there is in the way of the next one, which then has something to remove.
        if needs.get(path, set()) & _MADE:
            needs[path] |= operations
    _add_executables(run, needs)
    return {path: frozenset(operations) for path, operations in needs.items()}


def _add_executables(run: Run, needs: dict[bytes, set[FileOperation]]) -> None:
    """A loader is often named by a symbolic link (/lib64): the file of that name that was mapped is meant too."""
    mapped = defaultdict(set)
    for path, operations in needs.items():
        if operations & {FileOperation.MAP, FileOperation.EXEC}:
            mapped[posixpath.basename(path)].add(path)
    program = {FileOperation.EXEC, FileOperation.READ, FileOperation.MAP}
    for executable in run.executables:
        for text in (executable.path, executable.interpreter):
            path_or_none = normal_path(text)
            if path_or_none is None:
                continue
            for path in {path_or_none} | (
                mapped[posixpath.basename(path_or_none)] if text != executable.path else set()
            ):
                needs[path] |= program
        for text in executable.libraries:
            library = normal_path(text)
            if library is not None:
                needs[library] |= {FileOperation.READ, FileOperation.MAP}
    start = normal_path(run.workload.program)
    if start is not None:
        needs[start] |= program


def network_needs(run: Run) -> frozenset[NetworkRule]:
    """The addresses that were bound, and those connected or sent to, whether or not anybody answered there."""
    rules = (socket_rule(seen) for seen in run.sockets if _ruled(seen))
    return frozenset(rule for rule in rules if rule is not None)


def unusable_sockets(run: Run) -> tuple[SocketSeen, ...]:
    """Socket operations that succeeded and that no rule can be written for: family, type or address is unknown."""
    return tuple(seen for seen in run.sockets if _ruled(seen) and socket_rule(seen) is None)


def _ruled(seen: SocketSeen) -> bool:
    """AF_UNSPEC in connect only dissolves an association (connect(2)): it reaches nothing."""
    reached = seen.result in _UNDER_WAY or (
        seen.operation is not SocketOperation.BIND and seen.result in _REFUSED_BY_PEER
    )
    return seen.operation in _RULED and reached and seen.family != "AF_UNSPEC"


def socket_rule(seen: SocketSeen) -> NetworkRule | None:
    """The rule that allows what was seen; None where none can be written."""
    if not seen.type:
        return None
    address, port = seen.address, seen.port
    if seen.family in ("AF_INET", "AF_INET6"):
        if port is None:
            return None
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            return None
    elif seen.family == "AF_UNIX":
        port = None
        if address and not address.startswith("@"):
            path = normal_path(address)
            if path is None:
                return None
            address = PathPattern.literal(path).text
    else:
        address, port = "", None
    return NetworkRule(operation=_RULED[seen.operation], family=seen.family, type=seen.type, address=address, port=port)
