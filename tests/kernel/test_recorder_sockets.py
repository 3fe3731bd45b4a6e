"""Sockets: creation, addresses, results."""

from __future__ import annotations

import socket

import pytest

from harden.model.recording import SocketOperation as Op
from tests.kernel.recorded import record

pytestmark = [
    pytest.mark.requires("root", "bpf", "cgroup2", "gcc", "x86_64"),
    # Both bind the same abstract name in the namespace of the tests.
    pytest.mark.xdist_group("addresses"),
]


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def test_socket_operations_have_family_type_protocol_address_and_result(victim):
    port = free_port()
    run = record(victim("addresses"), port)
    found = {
        (seen.operation, seen.family, seen.type, seen.protocol, seen.address, seen.port, seen.result): seen.count
        for seen in run.sockets
    }
    stream, datagram = ("AF_INET", "SOCK_STREAM"), ("AF_INET", "SOCK_DGRAM")
    assert found == {
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
    assert run.gaps == ()


def test_arguments_of_socket_are_recorded(victim):
    run = record(victim("addresses"), free_port())
    assert {entry.values for entry in run.arguments if entry.name == "socket"} == {
        (socket.AF_INET, socket.SOCK_STREAM, 0),
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        (socket.AF_INET6, socket.SOCK_DGRAM, 0),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0),
    }
