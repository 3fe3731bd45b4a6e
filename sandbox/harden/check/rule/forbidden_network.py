"""forbidden-network: the profile reaches addresses or address families that the policy forbids or does not list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.subject import Facet, Section
from harden.model.policy_network import NetworkDemand
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    network, demand = case.subject.network, case.demand
    assert network is not None
    if demand.allowed_families is not None:
        if network.families is None:
            yield Hit(
                message="sockets of any address family can be made; the policy allows a list",
                subject="socket",
                section=Section.ARGUMENT,
                word="socket",
            )
        for family in sorted((network.families or frozenset()) - set(demand.allowed_families)):
            yield Hit(
                message=f"sockets of {family} can be made, which is not on the policy's list",
                subject=family,
                section=Section.ARGUMENT,
                word=family,
            )
    forbidden = [NetworkDemand.parse(text) for text in demand.forbidden_network]
    allowed = None if demand.allowed_network is None else [NetworkDemand.parse(text) for text in demand.allowed_network]
    if network.rules is None:
        if (forbidden or allowed is not None) and network.families != frozenset():
            yield Hit(message="any address can be reached: the format has no rules for them", section=Section.NETWORK)
        return
    for rule in network.rules:
        text = rule.render()
        bad = next((each for each in forbidden if each.meets(rule)), None)
        if bad is not None:
            yield Hit(
                message=f"{text} is granted, and the policy forbids {bad.text}",
                subject=text,
                section=Section.NETWORK,
                word=text,
            )
        elif allowed is not None and not any(each.covers(rule) for each in allowed):
            yield Hit(
                message=f"{text} is granted, and not on the policy's list",
                subject=text,
                section=Section.NETWORK,
                word=text,
            )


CHECK: Final = Check(
    id="forbidden-network",
    severity=Severity.HIGH,
    title="a forbidden address or family can be reached",
    why="The policy says under `allowed_network`, `forbidden_network` and `allowed_families` who may be talked to.",
    fix="Remove the rule from the profile, or bind to the address that is meant instead of 0.0.0.0.",
    needs=(Facet.NETWORK,),
    run=_run,
)
