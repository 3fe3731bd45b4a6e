"""Network rules: the addresses that were used, with what differs from run to run replaced."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

import msgspec

from harden.generate import note
from harden.generate.path_rule import PathNames
from harden.model.need import network_needs
from harden.model.network_rule import ANY_PORT, NetworkOperation, NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.recording import Run

__all__ = ["network_rules"]

_FIRST_CHOSEN: Final = 32768
"""The kernel chooses ports from here on (ip(7), ip_local_port_range)."""


def network_rules(runs: Sequence[Run], names: PathNames) -> tuple[tuple[str, ...], list[str]]:
    """The rules as a profile writes them, sorted, and a note for each that is wider than what was seen."""
    rules: set[str] = set()
    notes: set[str] = set()
    for run in runs:
        needs = network_needs(run)
        for rule in needs:
            wider = msgspec.structs.replace(rule, port=ANY_PORT) if _is_chosen(rule, needs) else _named(rule, names)
            rules.add(wider.render())
            if wider.port == ANY_PORT:
                notes.add(note.any_port(f"{wider.operation} {wider.protocol} {wider.address}"))
    return tuple(sorted(rules)), sorted(notes)


def _named(rule: NetworkRule, names: PathNames) -> NetworkRule:
    """A UNIX socket in the file system gets the same pattern as its file."""
    if rule.family != "AF_UNIX" or not rule.address.startswith("/"):
        return rule
    return msgspec.structs.replace(rule, address=names.pattern(PathPattern.parse(rule.address).path).text)


def _is_chosen(rule: NetworkRule, needs: frozenset[NetworkRule]) -> bool:
    """Whether the program connected to a socket of its own, on a port that the kernel had chosen for it."""
    if rule.operation is not NetworkOperation.CONNECT or rule.port is None or rule.port < _FIRST_CHOSEN:
        return False
    bound = [each for each in needs if each.operation is NetworkOperation.BIND and each.type == rule.type]
    if any(each.port == rule.port for each in bound):
        return False
    return any(each.port == 0 and _reaches(rule, each) for each in bound)


def _reaches(rule: NetworkRule, bound: NetworkRule) -> bool:
    return rule.address == bound.address or ipaddress.ip_address(rule.address).is_loopback
