"""Network demands of a policy: `connect tcp 10.0.0.0/8:443`, `bind * *:8000-8999`, `* unix /run/app/**`, `* raw *`."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import msgspec

from harden.model.network_rule import ANY_PORT, NetworkOperation, NetworkRule
from harden.model.path_pattern import PathPattern

__all__ = ["NetworkDemand"]

ANY: Final = "*"
_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PROTOCOL: Final = re.compile(r"[a-z0-9-]+|AF_[A-Z0-9_]+/SOCK_[A-Z_]+")


class NetworkDemand(msgspec.Struct, frozen=True, kw_only=True):
    """A set of network rules; `parse` is the way to make one."""

    text: str
    operation: str
    protocol: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    """None for any address."""
    ports: tuple[int, int] = (0, 65535)
    unix: str = ""
    """A UNIX address: a path pattern, or `@name`; empty for any."""

    @classmethod
    def parse(cls, text: str) -> NetworkDemand:
        """The demand written as `text`; ValueError says what is wrong with it."""
        words = text.split()
        if len(words) != 3:
            raise ValueError(f"{text!r}: write OPERATION PROTOCOL ADDRESS, such as 'connect tcp 10.0.0.0/8:443'")
        operation, protocol, address = words
        if operation != ANY and operation not in set(NetworkOperation):
            raise ValueError(f"{text!r}: must start with bind, connect or *")
        if protocol != ANY and not _PROTOCOL.fullmatch(protocol):
            raise ValueError(f"{text!r}: {protocol!r} is no protocol: tcp, udp6, unix, raw, AF_X/SOCK_Y or *")
        if address == ANY:
            return cls(text=text, operation=operation, protocol=protocol)
        if address.startswith(("/", "@")):
            if address.startswith("/"):
                PathPattern.parse(address)
            return cls(text=text, operation=operation, protocol=protocol, unix=address)
        host, colon, port = address.rpartition(":")
        if not colon:
            raise ValueError(f"{text!r}: an address is written NETWORK:PORT, with * for any of the two")
        network = None if host == ANY else ipaddress.ip_network(host.removeprefix("[").removesuffix("]"), strict=True)
        return cls(text=text, operation=operation, protocol=protocol, network=network, ports=_ports(port, text))

    def covers(self, rule: NetworkRule) -> bool:
        """Whether everything that `rule` allows is in this set."""
        if not self._is_about(rule):
            return False
        if self.unix:
            return _unix_covers(self.unix, rule.address)
        if rule.port is None:
            return self._is_any_address
        address = ipaddress.ip_address(rule.address)
        inside = self.network is None or (address.version == self.network.version and address in self.network)
        if rule.port == ANY_PORT:
            return inside and self.ports == (0, 65535)
        return inside and self.ports[0] <= rule.port <= self.ports[1]

    def meets(self, rule: NetworkRule) -> bool:
        """Whether `rule` allows anything in this set: 0.0.0.0 and :: stand for every address, port 0 for every port."""
        if not self._is_about(rule):
            return False
        if rule.port is None:
            if self.unix:
                return (
                    not rule.address or _unix_covers(self.unix, rule.address) or _unix_covers(rule.address, self.unix)
                )
            return self._is_any_address
        if self.unix:
            return False
        address = ipaddress.ip_address(rule.address)
        inside = (
            self.network is None
            or (address.is_unspecified and address.version == self.network.version)
            or (address.version == self.network.version and address in self.network)
        )
        return inside and (rule.port in (0, ANY_PORT) or self.ports[0] <= rule.port <= self.ports[1])

    @property
    def _is_any_address(self) -> bool:
        return self.network is None and self.ports == (0, 65535) and not self.unix

    def _is_about(self, rule: NetworkRule) -> bool:
        return self.operation in (ANY, rule.operation) and self.protocol in (ANY, rule.protocol)


def _ports(text: str, whole: str) -> tuple[int, int]:
    if text == ANY:
        return 0, 65535
    match = _PORTS.fullmatch(text)
    if match is None:
        raise ValueError(f"{whole!r}: {text!r} is no port, no range such as 8000-8999 and not *")
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= 65535:
        raise ValueError(f"{whole!r}: ports go up to 65535, the smaller one first")
    return first, last


def _unix_covers(wider: str, address: str) -> bool:
    if wider == address:
        return True
    if not (wider.startswith("/") and address.startswith("/")):
        return False
    return PathPattern.parse(wider).covers(PathPattern.parse(address))
