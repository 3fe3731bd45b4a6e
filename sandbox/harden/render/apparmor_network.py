"""Sockets in AppArmor's grammar: by family and type, UNIX sockets between own processes and by abstract name.

Source: apparmor.d(5), "Network Rules" and "Unix socket rules".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.model.network_rule import NetworkOperation, NetworkRule
from harden.model.path_text import from_text
from harden.model.profile import Rights
from harden.model.syscall_argument_names import ADDRESS_FAMILIES, SOCKET_TYPES
from harden.render.apparmor_path import quoted_name
from harden.render.quoted import Quoted

__all__ = ["networks", "unix"]

_FAMILIES: Final = frozenset(name.removeprefix("AF_").lower() for name in ADDRESS_FAMILIES.values()) - frozenset(
    {"unspec", "unix", "decnet", "mctp"}
)
"""The families that a `network` rule of abi 3.0 knows; unix has rules of its own."""
_TYPES: Final = frozenset({"stream", "dgram", "seqpacket", "rdm", "raw", "packet"})


def networks(rights: Rights, warnings: list[str]) -> Iterator[Quoted]:
    """AppArmor rules sockets by family and type, also where they are only made."""
    sockets = {(rule.family, rule.type) for rule in rights.all_network()}
    for call in ("socket", "socketpair"):
        if call not in rights.all_syscalls():
            continue
        values = rights.argument_values(call)
        if values is None or any(None in value[:2] for value in values):
            warnings.append(f"every kind of socket is allowed, because {call} is granted with any arguments")
            yield Quoted("network")
            continue
        sockets |= {(_named(ADDRESS_FAMILIES, value[0]), _named(SOCKET_TYPES, value[1])) for value in values}
    for family, type_ in sorted(sockets - {("AF_UNIX", type_) for _, type_ in sockets}):
        name, kind = family.removeprefix("AF_").lower(), type_.removeprefix("SOCK_").lower()
        if name in _FAMILIES and kind in _TYPES:
            yield Quoted(f"network {name} {kind}")
        else:
            warnings.append(f"{family}/{type_}: left out, abi 3.0 has no name for it")


def _named(names: object, value: int | None) -> str:
    return str(names.get(value, value)) if hasattr(names, "get") else str(value)


_LOCAL: Final = "create, bind, listen, shutdown, getattr, setattr, getopt, setopt"
_PEER: Final = "accept, connect, send, receive"


def unix(rights: Rights, peer: Quoted) -> Iterator[Quoted]:
    """Sockets between the program's own processes, of label `peer`, and abstract names; paths are file rules."""
    types = {rule.type for rule in rights.all_network() if rule.family == "AF_UNIX"}
    for call in ("socket", "socketpair"):
        for value in rights.argument_values(call) or ():
            if _named(ADDRESS_FAMILIES, value[0]) == "AF_UNIX":
                types.add(_named(SOCKET_TYPES, value[1]))
    for kind in sorted(type_.removeprefix("SOCK_").lower() for type_ in types):
        if kind in _TYPES:
            yield Quoted(f"unix ({_LOCAL}) type={kind} addr=none")
            yield Quoted(f"unix ({_PEER}) type={kind} peer=(label={peer})")
    yield from sorted({rule for network in rights.all_network() for rule in _abstract(network)})


def _abstract(rule: NetworkRule) -> Iterator[Quoted]:
    kind = rule.type.removeprefix("SOCK_").lower()
    if rule.family != "AF_UNIX" or not rule.address.startswith("@") or kind not in _TYPES:
        return
    name = quoted_name(from_text(rule.address[1:])).replace('"', '"@', 1)
    if rule.operation is NetworkOperation.BIND:
        yield Quoted(f"unix ({_LOCAL}, {_PEER}) type={kind} addr={name}")
    else:
        yield Quoted(f"unix ({_PEER}) type={kind} peer=(addr={name})")
