"""Addresses that a program was not let bind or connect to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.generate.history import History
from harden.model.control import Control
from harden.model.cover import allows
from harden.model.denial import Denial, DenialSource
from harden.model.need import socket_rule
from harden.model.network_rule import NetworkRule
from harden.model.profile import LocalRights, Rights
from harden.model.recording import Run, SocketOperation, SocketSeen

__all__ = ["denied_addresses"]

_CALLS: Final = {
    SocketOperation.BIND: ("bind",),
    SocketOperation.CONNECT: ("connect",),
    SocketOperation.SEND: ("sendto", "sendmsg", "sendmmsg"),
}
_UNDER_WAY: Final = ("ok", "EINPROGRESS", "ECONNREFUSED")
_SCOPE: Final = "no rule allows it: abstract sockets of other sandboxes and of the host are out of reach"
_UNREACHABLE: Final = "the sandbox's network does not reach it; it did when the program was recorded: --net host"


def denied_addresses(
    run: Run, rights: Rights, history: History, refused_calls: frozenset[tuple[str, str, str]]
) -> Iterator[Denial]:
    """One denial per program, operation and address."""
    granted = rights.all_network()
    for seen in run.sockets:
        calls = _CALLS.get(seen.operation, ())
        if not calls or history.socket(seen, seen.result):
            continue
        if any((seen.executable, call, seen.result) in refused_calls for call in calls):
            continue
        rule = socket_rule(seen)
        denial = rule and _explained(seen, rule, calls[0], history, any(allows(each, rule) for each in granted))
        if denial:
            yield denial


def _explained(seen: SocketSeen, rule: NetworkRule, call: str, history: History, is_granted: bool) -> Denial | None:
    recorded = any(history.socket(seen, result) for result in _UNDER_WAY)
    control, add, advice = Control.LANDLOCK, LocalRights(network=(rule.render(),)), ""
    if rule.family == "AF_UNIX" and rule.address.startswith("/"):
        # A path: the operation is among the files too.
        return None
    if seen.result in ("ENETUNREACH", "EHOSTUNREACH"):
        control, add, advice = Control.NETWORK_NAMESPACE, LocalRights(), _UNREACHABLE
        if not recorded:
            return None
    elif seen.result == "EPERM" and rule.family == "AF_UNIX":
        add, advice = LocalRights(), _SCOPE
    elif seen.result != "EACCES" or is_granted:
        return None
    return Denial(
        control=control,
        source=DenialSource.ERRNO,
        executable=seen.executable,
        call=call,
        network=rule.render(),
        result=seen.result,
        count=seen.count,
        recorded=history.was_let(recorded),
        add=add,
        advice=advice,
    )
