"""Names for what was done with sockets."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Final

from harden.model.file_operation import FileOperation
from harden.model.path_text import to_text
from harden.model.recording import SocketOperation, SocketSeen
from harden.model.syscall import name_of
from harden.model.syscall_argument_names import ADDRESS_FAMILIES, SOCKET_TYPES
from harden.trace.calls import CALLS
from harden.trace.decode import Program, program_text
from harden.trace.layout import Event, EventKind
from harden.trace.look import result_of
from harden.trace.observations import Observations
from harden.trace.place import join, path_of_names
from harden.trace.tally import Tally

__all__ = ["decode_sockets", "parse_address", "socket_paths"]

_AF_UNIX: Final = 1
_AF_INET: Final = 2
_AF_INET6: Final = 10
_MADE: Final = {SocketOperation.BIND: FileOperation.MKSOCK}
"""What a socket operation makes of the name it is given."""


def parse_address(address: bytes) -> tuple[str, int | None]:
    """The text and port of a sockaddr that is not a UNIX path; empty and None for one that has neither."""
    if len(address) < 2:
        return "", None
    (family,) = struct.unpack_from("=H", address)
    if family == _AF_INET and len(address) >= 8:
        return str(ipaddress.IPv4Address(address[4:8])), int.from_bytes(address[2:4], "big")
    if family == _AF_INET6 and len(address) >= 24:
        return str(ipaddress.IPv6Address(address[8:24])), int.from_bytes(address[2:4], "big")
    if family == _AF_UNIX and address[2:3] == b"\0":
        return "@" + to_text(address[3:]), None
    return "", None


def socket_paths(events: tuple[Event, ...]) -> dict[Event, bytes]:
    """The path of each socket event whose address is one."""
    return {
        event: join(path_of_names(event.base), event.string[2:].split(b"\0")[0])
        for event in events
        if event.kind == EventKind.SOCKET
        and len(event.string) > 2
        and struct.unpack_from("=H", event.string)[0] == _AF_UNIX
        and event.string[2] != 0
    }


def decode_sockets(
    observations: Observations, programs: Mapping[int, Program], paths: Mapping[Event, bytes]
) -> tuple[SocketSeen, ...]:
    """Socket operations per executable, sorted."""
    found: Tally[tuple[str, SocketOperation, str, str, int, str, int, str, str]] = Tally()
    for event in observations.events:
        syscall = name_of(observations.arch, event.key.nr)
        operation = CALLS[syscall].socket if event.kind == EventKind.SOCKET else None
        if operation is None:
            continue
        family, kind = event.key.flags & 0xFFFF, event.key.flags >> 16
        address, port = (to_text(paths[event]), None) if event in paths else parse_address(event.string)
        item = (
            program_text(programs, event.key.executable),
            operation,
            ADDRESS_FAMILIES.get(family, str(family)),
            SOCKET_TYPES.get(kind, str(kind) if kind else ""),
            event.key.mode,
            address,
            -1 if port is None else port,
            result_of(event.key.error, _MADE.get(operation)),
            syscall,
        )
        count = observations.seen.get(event.key, 1)
        found.add(item, event.key.executable, count, observations.beginning(event.key))
    seen = [
        SocketSeen(
            executable=executable,
            operation=operation,
            family=family,
            type=kind,
            protocol=protocol,
            address=address,
            port=None if port < 0 else port,
            result=result,
            syscall=syscall,
            **found.evidence(item),
        )
        for item in found
        for executable, operation, family, kind, protocol, address, port, result, syscall in (item,)
    ]
    # Ports can be None, which has no order among numbers.
    return tuple(
        sorted(
            seen,
            key=lambda item: (
                item.executable,
                item.operation,
                item.family,
                item.type,
                item.protocol,
                item.address,
                -1 if item.port is None else item.port,
                item.result,
                item.syscall,
            ),
        )
    )
