"""The prober: what it says under no filter, under one that allows almost nothing, and under one that kills."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from harden._native import PROBER, artefact

ISOLATE = ("unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--mount-proc")
EXPECTED_ALLOWED = {
    "exec-shell",
    "write-passwd",
    "ptrace-init",
    "unshare-user",
    "mount",
    "umount",
    "pivot-root",
    "setns",
}

WITH_FILTER = """
import os, sys
import pyseccomp as seccomp
program, default, *allowed = sys.argv[1:]
action = seccomp.KILL_PROCESS if default == "kill" else seccomp.ERRNO(1)
filter = seccomp.SyscallFilter(defaction=action)
filter.set_attr(seccomp.Attr.ACT_BADARCH, action)
for name in allowed:
    filter.add_rule(seccomp.ALLOW, name)
filter.load()
os.execv(program, [program])
"""


class Row(NamedTuple):
    """One line of the prober."""

    result: str
    error: str
    number: str
    call: str
    about: str


def probe(*prefix: str) -> dict[str, Row]:
    command = [*prefix, str(artefact(PROBER))]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    *lines, end = [line.split("\t") for line in result.stdout.splitlines()]
    assert end == ["end", str(len(lines))]
    rows = {line[0]: Row(*line[1:]) for line in lines}
    assert len(rows) == len(lines)
    return rows


def probe_filtered(default: str, *allowed: str) -> dict[str, Row]:
    command = [sys.executable, "-c", WITH_FILTER, str(artefact(PROBER)), default, *allowed]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {line.split("\t")[0]: Row(*line.split("\t")[1:]) for line in result.stdout.splitlines()[:-1]}


@pytest.mark.requires("root", "seccomp")
def test_as_root_without_a_profile_the_dangerous_actions_are_allowed():
    rows = probe(*ISOLATE)
    assert {name for name in EXPECTED_ALLOWED if rows[name].result != "allowed"} == set()


@pytest.mark.requires("root")
def test_nothing_changes_when_everything_is_allowed():
    def state() -> tuple[str, str, list[Path]]:
        passwd = hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest()
        return passwd, socket.gethostname(), sorted(Path("/usr/bin").iterdir())

    before = state()
    probe("unshare", "--pid", "--fork", "--mount", "--mount-proc")
    assert state() == before


@pytest.mark.requires("seccomp")
def test_a_filter_that_allows_almost_nothing_refuses_everything_but_the_twins():
    rows = probe_filtered("errno", "execve", "write", "exit_group", "getpid", "clock_gettime", "getcwd")
    allowed = {name for name, row in rows.items() if row.result == "allowed"}
    # execve is what the launcher of this test needs; the others are the twins.
    assert allowed == {"exec-shell", "twin-getpid", "twin-time", "twin-cwd"}
    # The call that was refused is named, not the one that it would have led to.
    assert rows["connect-out"][:4] == ("refused", "EPERM", "1", "socket")
    assert rows["abi-i386"].result == "not-tried"
    assert rows["mount"] == ("refused", "EPERM", "1", "mount", "mount a file system")


@pytest.mark.requires("seccomp")
def test_a_refused_connect_is_told_apart_from_a_refused_socket():
    rows = probe_filtered("errno", "execve", "write", "exit_group", "clone", "wait4", "socket", "close")
    assert rows["connect-out"][:4] == ("refused", "EPERM", "1", "connect")
    assert rows["socket-netlink"].result == "allowed"


@pytest.mark.requires("seccomp")
def test_killed_children_are_told_apart_from_refused_ones():
    rows = probe_filtered("kill", "execve", "write", "exit_group", "clone", "wait4", "getpid", "openat", "close")
    assert rows["mount"][:2] == ("killed", "SIGSYS")
    assert rows["abi-i386"][:2] == ("killed", "SIGSYS")
    assert rows["abi-x32"][:2] == ("killed", "SIGSYS")
    assert rows["twin-getpid"].result == "allowed"


@pytest.mark.requires("seccomp")
def test_another_way_to_write_is_found():
    assert probe_filtered("errno", "execve", "writev", "exit_group")["mount"].result == "refused"
