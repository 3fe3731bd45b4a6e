"""raw-socket: the program can make raw or packet sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import Row, passes
from harden.check.subject import Reach, Section
from harden.model.capability import Capability
from harden.model.severity import Severity

__all__ = ["CHECK"]

_RAW: Final = 3
_PACKET: Final = 17
_INTERNET: Final = (2, 10)
_PROBES: Final = tuple(
    (family, type_, protocol, 0, 0, 0)
    for family, type_, protocol in (
        (2, 3, 1),
        (2, 3, 255),
        (10, 3, 58),
        (10, 3, 255),
        (17, 3, 0x300),
        (17, 2, 0x300),
        (17, 3, 0),
    )
)


def _row(row: Row) -> bool:
    family, type_ = row[0], row[1]
    return family == _PACKET or (type_ in (None, _RAW) and (family is None or family in _INTERNET))


def _run(case: Case) -> Iterator[Hit]:
    facet, held = case.subject.seccomp, case.subject.capabilities
    if facet is not None:
        always = any(facet.reach(arch, "socket") is Reach.ALWAYS for arch in facet.architectures)
        # Whoever lists no arguments is told by unruled-argument; without the capability the kernel refuses raw sockets.
        harmless = always and held is not None and Capability.CAP_NET_RAW not in held
        if not harmless and passes(facet, "socket", row=_row, probes=_PROBES):
            yield Hit(
                message="socket is allowed with SOCK_RAW or AF_PACKET",
                subject="socket",
                section=Section.ARGUMENT,
                word="socket",
            )
    for rule in (case.subject.network.rules or ()) if case.subject.network else ():
        if "RAW" in rule.type and rule.family != "AF_NETLINK":
            text = rule.render()
            yield Hit(message=f"{text} is granted", subject=text, section=Section.NETWORK, word=text)


CHECK: Final = Check(
    id="raw-socket",
    severity=Severity.HIGH,
    title="raw sockets can be made",
    why="Raw and packet sockets forge any packet and read those of others on the same network; their kernel code is "
    "a frequent "
    "entry of exploits.",
    fix="Allow socket only for the families and types that were seen. `ping` works with an unprivileged ICMP "
    "datagram socket.",
    needs=(),
    run=_run,
)
