"""Sockets: creation, addresses, results."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from harden.model.recording import SocketOperation as Op

pytestmark = [
    pytest.mark.requires("root", "gcc", "x86_64"),
    # Both bind the same abstract name in the namespace of the tests.
    pytest.mark.xdist_group("addresses"),
]


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def without_results(seen: Mapping[Any, int]) -> dict[tuple[object, ...], int]:
    merged: Counter[tuple[object, ...]] = Counter()
    for (*what, _result), count in seen.items():
        merged[(*what, "unknown")] += count
    return merged


def test_socket_operations_have_family_type_protocol_address_and_result(recorded, victim):
    port = free_port()
    run = recorded(victim("addresses"), port)
    found = {
        (seen.operation, seen.family, seen.type, seen.protocol, seen.address, seen.port, seen.result): seen.count
        for seen in run.sockets
    }
    stream, datagram = ("AF_INET", "SOCK_STREAM"), ("AF_INET", "SOCK_DGRAM")
    expected = {
        (Op.CREATE, *stream, 0, "", None, "ok"): 2,
        (Op.CREATE, *datagram, 17, "", None, "ok"): 1,
        (Op.CREATE, "AF_INET6", "SOCK_DGRAM", 0, "", None, "ok"): 1,
        (Op.CREATE, "AF_UNIX", "SOCK_SEQPACKET", 0, "", None, "ok"): 1,
        (Op.CREATE, "AF_UNIX", "SOCK_STREAM", 0, "", None, "ok"): 1,
        (Op.CONNECT, *stream, 6, "127.0.0.1", port, "ECONNREFUSED"): 1,
        (Op.BIND, *stream, 6, "127.0.0.1", port, "ok"): 1,
        (Op.LISTEN, *stream, 6, "", None, "ok"): 1,
        (Op.CONNECT, *stream, 6, "127.0.0.1", port, "ok"): 1,
        (Op.SEND, "AF_INET6", "SOCK_DGRAM", 17, "::1", port, "ok"): 1,
        (Op.SEND, *datagram, 17, "127.0.0.1", port, "ok"): 1,
        (Op.BIND, "AF_UNIX", "SOCK_SEQPACKET", 0, "@harden", None, "ok"): 1,
    }
    assert found == (expected if recorded.backend == "bpf" else without_results(expected))
    assert {(seen.operation, seen.syscall) for seen in run.sockets} == {
        (Op.CREATE, "socket"),
        (Op.CREATE, "socketpair"),
        (Op.BIND, "bind"),
        (Op.LISTEN, "listen"),
        (Op.CONNECT, "connect"),
        (Op.SEND, "sendto"),
        (Op.SEND, "sendmsg"),
    }
    assert run.gaps == ()


def test_arguments_of_socket_are_recorded(recorded, victim):
    run = recorded(victim("addresses"), free_port())
    assert {entry.values for entry in run.arguments if entry.name == "socket"} == {
        (socket.AF_INET, socket.SOCK_STREAM, 0),
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        (socket.AF_INET6, socket.SOCK_DGRAM, 0),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0),
    }
