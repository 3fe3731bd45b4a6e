"""Network rules of a profile: `bind tcp 0.0.0.0:8080`, `connect unix /run/postgresql/.s.PGSQL.5432`."""

from __future__ import annotations

import enum
import ipaddress
from typing import Final

import msgspec

from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text

__all__ = ["ANY_PORT", "NetworkOperation", "NetworkRule"]

ANY_PORT: Final = -1
"""The port of a rule for every port, written `*`: the kernel chose the one that was seen."""


class NetworkOperation(enum.StrEnum):
    """What a network rule allows; sending with an address counts as `connect`."""

    BIND = "bind"
    CONNECT = "connect"


_PROTOCOLS: Final = {
    ("AF_INET", "SOCK_STREAM"): "tcp",
    ("AF_INET6", "SOCK_STREAM"): "tcp6",
    ("AF_INET", "SOCK_DGRAM"): "udp",
    ("AF_INET6", "SOCK_DGRAM"): "udp6",
    ("AF_INET", "SOCK_RAW"): "raw",
    ("AF_INET6", "SOCK_RAW"): "raw6",
    ("AF_UNIX", "SOCK_STREAM"): "unix",
    ("AF_UNIX", "SOCK_DGRAM"): "unix-dgram",
    ("AF_UNIX", "SOCK_SEQPACKET"): "unix-seqpacket",
}
_SOCKETS: Final = {protocol: socket for socket, protocol in _PROTOCOLS.items()}


class NetworkRule(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One address a socket may be bound or connected to.

    `address` is an IP address, a path pattern or `@name` for AF_UNIX, empty for the families that have none here;
    `port` is None outside IP, and ANY_PORT for every port.
    """

    operation: NetworkOperation
    family: str
    type: str
    address: str = ""
    port: int | None = None

    @property
    def protocol(self) -> str:
        """`tcp`, `unix-dgram`, … or FAMILY/TYPE where there is no short name."""
        return _PROTOCOLS.get((self.family, self.type), f"{self.family}/{self.type}")

    def render(self) -> str:
        """The rule as a profile writes it."""
        address = self.address
        if self.port is not None:
            port = "*" if self.port == ANY_PORT else str(self.port)
            address = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return f"{self.operation} {self.protocol} {address}" if address else f"{self.operation} {self.protocol}"

    @classmethod
    def parse(cls, text: str) -> NetworkRule:
        """The rule written as `text`; ValueError says what is wrong with it."""
        operation, _, rest = text.partition(" ")
        protocol, _, address = rest.partition(" ")
        if operation not in set(NetworkOperation):
            raise ValueError(f"{text!r}: must start with bind or connect")
        family, type_ = _SOCKETS.get(protocol) or _parse_socket(protocol, text)
        if family in ("AF_INET", "AF_INET6"):
            host, port = _parse_ip(address, text)
            return cls(operation=NetworkOperation(operation), family=family, type=type_, address=host, port=port)
        if family == "AF_UNIX" and address:
            _check_unix(address)
        return cls(operation=NetworkOperation(operation), family=family, type=type_, address=address)


def _parse_socket(protocol: str, text: str) -> tuple[str, str]:
    family, slash, type_ = protocol.partition("/")
    if not slash or not family or not type_:
        raise ValueError(f"{text!r}: unknown protocol {protocol!r}")
    return family, type_


def _parse_ip(address: str, text: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or (port != "*" and (not port.isdecimal() or int(port) > 65535)):
        raise ValueError(f"{text!r}: an IP address is written ADDRESS:PORT or [ADDRESS]:PORT, with * for every port")
    number = ANY_PORT if port == "*" else int(port)
    return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), number


def _check_unix(address: str) -> None:
    if address.startswith("/"):
        PathPattern.parse(address)
    elif address.startswith("@"):
        from_text(address)
    else:
        raise ValueError(f"{address!r}: a UNIX address is an absolute path or @ and an abstract name")
