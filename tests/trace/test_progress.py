"""Events in a few words."""

from __future__ import annotations

import struct

import pytest

from harden.model.arch import Arch
from harden.trace.progress import describe_event
from tests.trace.sample_observations import executable, file_event, names, socket_event

INET = struct.pack("=H", 2) + (80).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (executable(1, "/bin/app"), "program /bin/app"),
        (executable(1, "/bin/sh", string=b"./run", base2=names("/srv")), "program /srv/run"),
        (file_event("openat", base=names("/etc/hosts")), "openat /etc/hosts"),
        (file_event("unlink", string=b"../x\n", base=names("/srv/a")), "unlink /srv/x\\x0a"),
        (socket_event("connect", family=2, type=1, string=INET), "connect 127.0.0.1:80"),
        (socket_event("bind", family=1, type=1, string=b"\1\0s", base=names("/run")), "bind /run/s"),
        (socket_event("socket", family=2, type=1), "socket"),
    ],
)
def test_events(event, text):
    assert describe_event(event, Arch.X86_64) == text
