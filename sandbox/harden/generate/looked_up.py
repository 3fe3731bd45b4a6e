"""Names beside the addresses that a program connected to: what the recorded name servers said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from harden.model.need import network_needs
from harden.model.network_rule import ANY_PORT, NetworkOperation
from harden.model.recording import Run

__all__ = ["hosts_of", "lookup_comments"]

_NAMED: Final = 3
"""How many names a comment has."""


def hosts_of(run: Run, address: str) -> tuple[str, ...]:
    """The names for which `address` was answered in this run, sorted."""
    return tuple(sorted({seen.host for seen in run.lookups if address in seen.addresses}))


def lookup_comments(runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """Each connect rule whose address was looked up by a name, as a profile writes it, and the comment it gets."""
    found: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for rule in network_needs(run) if run.lookups else ():
            hosts = hosts_of(run, rule.address) if rule.operation is NetworkOperation.CONNECT else ()
            for written in (rule, msgspec.structs.replace(rule, port=ANY_PORT)):
                found[written.render()].update(hosts)
    for text, names in sorted(found.items()):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield text, f"looked up as {', '.join(sorted(names)[:_NAMED])}{more}"
