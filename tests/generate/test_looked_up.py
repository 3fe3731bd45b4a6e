"""Names beside connect rules."""

from __future__ import annotations

import msgspec

from harden.generate.looked_up import hosts_of, lookup_comments
from harden.model.lookup import LookupSeen
from harden.model.recording import SocketOperation, SocketSeen
from tests.recordings import run


def connected(address: str, port: int = 443) -> SocketSeen:
    return SocketSeen(
        executable="/x",
        operation=SocketOperation.CONNECT,
        family="AF_INET",
        type="SOCK_STREAM",
        address=address,
        port=port,
        count=1,
    )


def looked_up(host: str, *addresses: str) -> LookupSeen:
    return LookupSeen(executable="/x", host=host, addresses=addresses, count=1)


def test_a_rule_is_named_by_who_was_looked_up_for_its_address():
    names = [looked_up(host, "192.0.2.1") for host in ("d.example", "b.example", "a.example", "c.example")]
    seen = msgspec.structs.replace(
        run(), sockets=(connected("192.0.2.1"), connected("192.0.2.2")), lookups=(*names, looked_up("e.example"))
    )
    assert hosts_of(seen, "192.0.2.1") == ("a.example", "b.example", "c.example", "d.example")
    comments = dict(lookup_comments([seen]))
    assert comments["connect tcp 192.0.2.1:443"] == "looked up as a.example, b.example, c.example and 1 more"
    assert comments["connect tcp 192.0.2.1:*"] == comments["connect tcp 192.0.2.1:443"]
    assert "connect tcp 192.0.2.2:443" not in comments


def test_names_of_all_runs_come_together():
    runs = [
        msgspec.structs.replace(run(), sockets=(connected("192.0.2.1"),), lookups=(looked_up(host, "192.0.2.1"),))
        for host in ("one.example", "two.example")
    ]
    assert dict(lookup_comments(runs))["connect tcp 192.0.2.1:443"] == "looked up as one.example, two.example"
