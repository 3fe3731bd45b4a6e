"""An attack that works was granted, by rights that the report names, or it was not."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from harden._native import PROBER, artefact
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.probe_right import PROBE_RIGHTS, granting_rights
from harden.model.profile import Rights
from harden.probe import ProbeReport, parse_report


def rights(**parts: Any) -> Rights:
    return Rights(architectures=(Arch.X86_64,), **parts)


def granted(*names: str) -> dict[Origin, tuple[str, ...]]:
    return {Origin.OBSERVED: names}


CASES = [
    ("io-uring", "io_uring_setup", {"syscalls": granted("io_uring_setup")}, ("io_uring_setup",)),
    ("exec-shell", "execve", {"syscalls": granted("execve")}, ()),
    (
        "exec-shell",
        "execve",
        {"syscalls": granted("execve"), "files": {Origin.MANUAL: {"/bin/*": "read exec"}}},
        ("execve", "exec /bin/sh"),
    ),
    ("exec-shell", "execve", {"files": {Origin.OBSERVED: {"/bin/sh": "exec"}}}, ()),
    ("change-user", "setuid", {"syscalls": granted("setuid")}, ()),
    (
        "change-user",
        "setuid",
        {"syscalls": granted("setuid"), "capabilities": granted("CAP_SETUID")},
        ("setuid", "CAP_SETUID"),
    ),
    ("connect-out", "connect", {"syscalls": granted("connect"), "network": granted("connect tcp 10.0.0.1:80")}, ()),
    ("connect-out", "connect", {"syscalls": granted("connect"), "network": granted("bind tcp 0.0.0.0:443")}, ()),
    (
        "connect-out",
        "connect",
        {"syscalls": granted("connect"), "network": granted("connect tcp 10.0.0.1:443")},
        ("connect", "connect tcp 10.0.0.1:443"),
    ),
    ("abi-x32", "x32 getpid", {}, ()),
]


@pytest.mark.parametrize(("action", "call", "parts", "expected"), CASES)
def test_every_right_that_an_attack_needs_must_be_granted(action, call, parts, expected):
    assert granting_rights(action, call, rights(**parts)) == expected


def test_the_path_is_where_the_links_lead():
    parts = {"syscalls": granted("execve"), "files": {Origin.OBSERVED: {"/usr/bin/dash": "exec"}}}
    assert granting_rights("exec-shell", "execve", rights(**parts)) == ()
    assert granting_rights("exec-shell", "execve", rights(**parts), path="/usr/bin/dash")[1] == "exec /usr/bin/dash"


def test_another_abi_is_a_right_of_its_own():
    both = Rights(architectures=(Arch.I386, Arch.X86_64))
    assert granting_rights("abi-i386", "int 0x80", both) == ("architecture i386",)


def test_the_report_tells_granted_from_merely_allowed_and_from_untried():
    lines = [
        "ptrace-init\tallowed\t-\t101\tptrace\ttake over PID 1",
        "bpf-map\tallowed\t-\t321\tbpf\treach the BPF verifier",
        "abi-x32\tnot-tried\t-\t0\tx32 getpid\tmake x32 calls",
        "mount\trefused\tEPERM\t165\tmount\tmount a file system",
        "twin-getpid\tallowed\t-\t39\tgetpid\task for the own process id",
    ]
    report = ProbeReport(profile="app", actions=parse_report(lines, rights(syscalls=granted("bpf"))), notes=())
    assert [each.id for each in report.granted] == ["bpf-map"]
    assert [each.id for each in report.ungranted] == ["ptrace-init"]
    assert [each.id for each in report.untried] == ["abi-x32"]
    assert report.refused == 1


@pytest.mark.requires("x86_64")
def test_the_rows_are_of_actions_that_the_prober_has():
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--net", "--mount", str(artefact(PROBER))]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert PROBE_RIGHTS.keys() <= {line.split("\t")[0] for line in done.stdout.splitlines()}
