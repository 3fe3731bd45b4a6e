"""Attacks that go past the file system: keyrings, abstract sockets, the host's loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from harden.model.sandbox import FileRule, LandlockRules, NetworkMode
from tests.escape.attempts import EVERY_CAPABILITY, USERS, VIEWS, attack, attack_bare, done, read_attempts
from tests.sandboxes import python

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc")

SCOPED = LandlockRules(
    handled_files=(1 << 15) - 1,
    handled_network=3,
    scoped=3,
    files=(FileRule(path=b"/", access=1 | 4 | 8),),
    bind_tcp=(),
    connect_tcp=(),
)

_WITH_KEY = """
import ctypes, json, os, subprocess, sys
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from harden.model.sandbox import View
from tests.escape.attempts import EVERY_CAPABILITY, spec_for
program, how, view, capabilities = sys.argv[1:]
KEYCTL, JOIN_SESSION_KEYRING = 250, 1
assert ctypes.CDLL(None).syscall(KEYCTL, JOIN_SESSION_KEYRING, None) > 0
added = subprocess.run([program, "add", "harden-escape"], check=True, capture_output=True, text=True).stdout
assert added == "session done\\nuser done\\n", added
if how == "bare":
    os.execv(program, [program, "find", "harden-escape"])
held = EVERY_CAPABILITY if capabilities == "all" else frozenset()
exec_plan(plan(spec_for(program, "find", "harden-escape", view=View(view), capabilities=held), probe()))
"""


@pytest.mark.attack(39)
@pytest.mark.proves("own keyrings")
@pytest.mark.requires("x86_64")
@pytest.mark.parametrize("capabilities", ["none", "all"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_key_of_the_host_is_found(victim, uid, view, capabilities):
    program = str(victim("attack_keys", static=True))
    ended = python(_WITH_KEY, program, "inside", view.value, capabilities, uid=uid)
    assert ended.returncode == 0, ended
    # Its parent is init, which has no use for the keyring that it may give it.
    assert done(read_attempts(ended.stdout), but=("to-parent",)) == set()
    assert ended.stdout.count("ENOKEY") >= 5


@pytest.mark.attack(39)
@pytest.mark.requires("x86_64")
@pytest.mark.parametrize("uid", USERS)
def test_the_twin_outside_finds_the_key(victim, uid):
    ended = python(_WITH_KEY, str(victim("attack_keys", static=True)), "bare", "", "", uid=uid)
    assert {"request done", "session done", "user done"} <= set(ended.stdout.splitlines())


@pytest.fixture
def listening() -> Iterator[tuple[str, str]]:
    """An abstract name and a port of the host's loopback, both open to everybody."""
    name = f"harden-escape-{os.getpid()}"
    servers = [socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)]
    for server in servers:
        server.bind(f"\0{name}")
        server.listen(64)
    tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
    yield name, str(tcp.getsockname()[1])
    for server in (*servers, tcp):
        server.close()


@pytest.mark.attack(40, 41)
@pytest.mark.proves("own network namespace")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_nothing_of_the_hosts_network_is_reached(victim, listening, uid, view):
    program = victim("attack_socket", static=True)
    attempts = attack(program, *listening, uid=uid, view=view, capabilities=EVERY_CAPABILITY)
    assert done(attempts) == set()
    assert len(attempts) == 7


@pytest.mark.attack(40)
@pytest.mark.proves("Landlock scopes")
@pytest.mark.requires("landlock")
@pytest.mark.parametrize("uid", USERS)
def test_with_the_hosts_network_landlock_keeps_abstract_sockets_and_ports_away(victim, listening, uid):
    program = victim("attack_socket", static=True)
    attempts = attack(program, *listening, uid=uid, network=NetworkMode.HOST, landlock=SCOPED)
    assert done(attempts) == set()
    assert attempts["stream"] == "EPERM"
    assert attempts["127.0.0.1"] == "EACCES"


@pytest.mark.attack(40, 41)
@pytest.mark.parametrize("uid", USERS)
def test_the_twins_reach_them(victim, listening, uid):
    program = victim("attack_socket", static=True)
    wanted = {"stream", "seqpacket", "127.0.0.1"}
    assert wanted <= done(attack(program, *listening, uid=uid, network=NetworkMode.HOST))
    assert wanted <= done(attack_bare(program, *listening))
