"""A name server that only a test uses: `name_server.py NAME=ADDRESS[,ADDRESS…]…`, as a helper command of a sandbox.

It answers on 127.0.0.1:53 by UDP, in the background: the command prints the number of that process when it is there.
Names that it does not know do not exist. It runs outside the test's own interpreter.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys

A, AAAA = 1, 28


def question(query: bytes) -> tuple[bytes, int, int]:
    """The name with its length bytes, the type, and where the question ends."""
    end = 12
    while query[end]:
        end += query[end] + 1
    return query[12 : end + 1], struct.unpack_from(">H", query, end + 1)[0], end + 5


def text(name: bytes) -> str:
    labels, at = [], 0
    while name[at]:
        labels.append(name[at + 1 : at + 1 + name[at]].decode("latin-1"))
        at += name[at] + 1
    return ".".join(labels).lower()


def answer(query: bytes, known: dict[str, list[str]]) -> bytes:
    name, kind, end = question(query)
    addresses = [ipaddress.ip_address(each) for each in known.get(text(name), ())]
    records = b"".join(
        # The name is a pointer to the question's; a minute to live.
        b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(each.packed)) + each.packed
        for each in addresses
        if {4: A, 6: AAAA}[each.version] == kind
    )
    count = sum({4: A, 6: AAAA}[each.version] == kind for each in addresses)
    header = query[:2] + struct.pack(">HHHHH", 0x8180 if addresses else 0x8183, 1, count, 0, 0)
    return header + query[12:end] + records


def main(arguments: list[str]) -> None:
    known = {name.lower(): addresses.split(",") for name, _, addresses in (each.partition("=") for each in arguments)}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    if child := os.fork():
        sys.stdout.write(f"{child}\n")
        return
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    while True:
        query, peer = server.recvfrom(4096)
        server.sendto(answer(query, known), peer)


if __name__ == "__main__":
    main(sys.argv[1:])
