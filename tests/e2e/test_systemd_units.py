"""Shipped servers as units of a real systemd, under the exported drop-in: they serve, and an attacker is held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from harden.enforce import load, locate
from harden.model.profile import Profile
from harden.probe import PROBER, parse_report
from harden.render.formats import FORMATS
from tests.shipped import FOLDER
from tests.systemd_machine import SystemdMachine, systemd_machine

pytestmark = [
    pytest.mark.requires("root", "cgroup2", "overlay", "systemd", "nginx", "redis", "curl"),
    pytest.mark.xdist_group("systemd"),
]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A shipped server as a unit: who runs it, and how one sees that it serves."""

    name: str
    start: str
    program: str
    use: tuple[str, ...]
    answer: str
    user: str = "root"

    def profile(self) -> Profile:
        return load(locate(FOLDER / self.name / f"{self.name}.profile.toml"), trust=True)

    def drop_in(self) -> bytes:
        return FORMATS["systemd"].render(self.profile()).content

    def unit(self, *more: str) -> str:
        lines = (
            *("[Unit]", "DefaultDependencies=no", "[Service]", f"User={self.user}", f"ExecStart={self.start}"),
            *("Environment=LANG=C.UTF-8 HOME=/nonexistent", "TimeoutStopSec=20", *more),
        )
        return "\n".join(lines) + "\n"


SERVERS: Final = (
    Server(
        name="nginx",
        start='/usr/sbin/nginx -g "daemon off;"',
        program="/usr/sbin/nginx",
        use=("curl", "--silent", "--show-error", "--retry", "20", "--retry-connrefused", "http://127.0.0.1/"),
        answer="Welcome to nginx",
    ),
    Server(
        name="redis",
        start='/usr/bin/redis-server /etc/redis/redis.conf --daemonize no --supervised no --pidfile ""',
        program="/usr/bin/redis-check-rdb",
        use=(
            "sh",
            "-c",
            "until redis-cli ping; do :; done; redis-cli set key value; redis-cli get key; redis-cli save",
        ),
        answer="PONG\nOK\nvalue\nOK\n",
        user="redis",
    ),
)
ANY_USER: Final = (
    *("abi-i386", "clone3-user", "exec-memory", "exec-shell", "io-uring", "keyring-add", "mmap-write-exec"),
    *("mprotect-exec", "perf-event", "personality", "ptrace-traceme", "socket-netlink", "unshare-user", "userfaultfd"),
)
ROOT_ONLY: Final = (
    *("bpf-map", "chroot", "create-usr-bin", "fsopen", "kernel-log", "mount", "pivot-root", "ptrace-init", "reboot"),
    *("set-hostname", "set-time", "setns", "socket-packet", "umount", "write-init-memory", "write-passwd"),
)
"""Actions of the prober that a bare unit is allowed, all of them harmless."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    with systemd_machine(tmp_path_factory.mktemp("systemd")) as machine:
        yield machine


def serves(machine: SystemdMachine, server: Server) -> str:
    """What it answers; its unit is stopped again, and must end well."""
    unit = f"{server.name}.service"
    machine.run("systemctl", "start", unit)
    answer = machine.run(*server.use)
    machine.run("systemctl", "stop", unit)
    shown = machine.run("systemctl", "show", "--property=Result,ActiveState", unit)
    assert set(shown.split()) == {"Result=success", "ActiveState=inactive"}, machine.journal(f"--unit={unit}")
    return answer


def tried(machine: SystemdMachine, server: Server, **drop_ins: bytes) -> dict[str, str]:
    """What the prober is answered in the server's place, by action."""
    unit = f"{server.name}-probe.service"
    instead = (f"BindReadOnlyPaths=/run/host/prober:{server.program}", "Type=oneshot")
    machine.write_unit(unit, server.unit(*instead), **drop_ins)
    machine.run("systemctl", "start", unit)
    lines = [line for line in machine.journal(f"--unit={unit}", "_TRANSPORT=stdout").splitlines() if "\t" in line]
    last = max(index for index, line in enumerate(lines) if line.startswith("end\t"))
    first = max((index for index, line in enumerate(lines[:last]) if line.startswith("end\t")), default=-1) + 1
    return {action.id: action.result for action in parse_report(lines[first:last], server.profile().rights)}


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_serves_under_its_drop_in_and_an_attacker_in_it_is_refused(machine, server):
    (machine.shared / "prober").write_bytes(PROBER.read_bytes())
    (machine.shared / "prober").chmod(0o755)
    machine.write_unit(f"{server.name}.service", server.unit())
    assert server.answer in serves(machine, server), "the unit as it is: it also makes what the first start makes"
    machine.write_unit(f"{server.name}.service", server.unit(), harden=server.drop_in())
    assert server.answer in serves(machine, server)
    attacks = {*ANY_USER, *(ROOT_ONLY if server.user == "root" else ())}
    assert attacks <= {action for action, result in tried(machine, server).items() if result == "allowed"}
    held = tried(machine, server, harden=server.drop_in())
    assert {action for action in attacks if held[action] == "allowed"} == set()
    assert held["twin-getpid"] == held["twin-memory"] == "allowed"


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_systemd_knows_every_call_that_was_observed(machine, server):
    """It passes over names that its libseccomp does not have; those are newer than anything that the program did."""
    machine.write_unit(f"{server.name}-read.service", server.unit(), harden=server.drop_in())
    machine.run("systemctl", "show", f"{server.name}-read.service")
    said = machine.journal("_PID=1")
    unknown = set(
        re.findall(rf"{server.name}-read.*/harden.conf:\d+: Failed to parse system call, ignoring: (\S+)", said)
    )
    assert unknown <= {"lsm_get_self_attr", "lsm_list_modules", "mseal", "uprobe", "uretprobe"}
    other = rf"{server.name}-read.*/harden.conf:\d+: (?!Failed to parse system call).*"
    assert not re.findall(other, said)
    bad = server.drop_in() + b"SystemCallFilter=no_such_call\nProtectAll=yes\n"
    machine.write_unit(f"{server.name}-bad.service", server.unit(), harden=bad)
    machine.run("systemctl", "show", f"{server.name}-bad.service")
    said = machine.journal("_PID=1")
    assert f"{server.name}-bad.service.d/harden.conf" in said
    assert "no_such_call" in said, "systemd says what it passes over"
    assert "ProtectAll" in said
