"""What a rerun was refused is added until nothing is, and what it does without is found by taking it away."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.e2e.wishes import Wishes

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "x86_64")

GETPPID = "call 110"
PTRACE = "call 101"
BASE = ("call 39", "read wishes")


@pytest.fixture
def wishes(tmp_path: Path) -> Wishes:
    return Wishes(tmp_path)


def test_refine_reaches_a_fixed_point_and_the_workload_then_runs(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    text = wishes.local.read_text() + "# a person's words\n[add] # theirs\nsyscalls = []\n"
    wishes.local.write_text(text)
    (wishes.folder / "mine").write_text("")
    lines = (*BASE, GETPPID, "!socket 2 1", "!write new", "!own mine", "read /usr/lib/os-release", "start /bin/true")
    wishes.wish(*lines)
    done = wishes.harden("refine", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["left"], found["verification"]["verdict"]) == ([], "clean")
    assert 'refined.capabilities = ["CAP_CHOWN"]' in found["added"]
    refined = tomllib.loads(wishes.local.read_text())["refined"]
    assert {"getppid", "socket", "chown", "clone", "execve", "wait4"} <= set(refined["syscalls"])
    assert refined["arguments"]["socket"] == [["AF_INET", "SOCK_STREAM", "0"]]
    assert refined["files"][f"{wishes.folder}/new"] == "write create"
    rest = iter(wishes.local.read_text())
    assert all(char in rest for char in text)
    ran = wishes.harden("run")
    assert (ran.returncode, ran.stdout.splitlines()) == (0, [f"{line}: ok" for line in lines])
    assert wishes.verify()[0] == 0


def test_a_profile_that_needs_nothing_is_left_alone(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    text = wishes.local.read_bytes()
    done = wishes.harden("refine", "--yes")
    assert done.returncode == 0
    assert wishes.local.read_bytes() == text
    assert "nothing was added" in done.stdout


def test_yes_is_not_yes_to_what_is_dangerous(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, GETPPID, PTRACE, "read /etc/shadow")
    done = wishes.harden("refine", "--yes")
    assert done.returncode == 1
    refined = tomllib.loads(wishes.local.read_text())["refined"]
    assert refined == {"syscalls": ["getppid"]}
    assert done.stderr.count("DANGEROUS") == 4
    assert "GUARDED: /etc/shadow" in done.stderr
    assert wishes.harden("refine", "--yes", "--allow-risk", "critical").returncode == 0
    refined = tomllib.loads(wishes.local.read_text())["refined"]
    assert refined == {
        "syscalls": ["ptrace", "getppid"],
        "arguments": {"ptrace": [["PTRACE_TRACEME"]]},
        "files": {"/etc/shadow": "read"},
    }


def test_a_lower_level_adds_less(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, GETPPID, "socket 2 1")
    wishes.harden("refine", "--yes", "--allow-risk", "low")
    assert tomllib.loads(wishes.local.read_text())["refined"] == {"syscalls": ["getppid"]}


def test_a_round_is_one_addition(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "!socket 2 1", f"!{GETPPID}")
    assert wishes.harden("refine", "--yes", "--rounds", "1").returncode == 1
    syscalls = tomllib.loads(wishes.local.read_text())["refined"]["syscalls"]
    assert "socket" in syscalls
    assert "getppid" not in syscalls
    assert wishes.harden("refine", "--yes", "--rounds", "1").returncode == 0


def test_nobody_to_ask(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, GETPPID)
    text = wishes.local.read_bytes()
    done = wishes.harden("refine")
    assert (done.returncode, wishes.local.read_bytes()) == (125, text)
    assert "--yes" in done.stderr


def test_a_file_that_cannot_be_edited_is_left_alone(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, GETPPID)
    text = 'format = "harden-local/1"\nrefined = { capabilities = ["CAP_KILL"] }\n'
    wishes.local.write_text(text)
    done = wishes.harden("refine", "--yes")
    assert (done.returncode, wishes.local.read_text()) == (125, text)
    assert 'refined.syscalls = ["getppid"]' in done.stderr


def test_minimize_drops_a_capability_that_is_not_needed_and_keeps_one_that_is(wishes: Wishes) -> None:
    (wishes.folder / "mine").write_text("")
    wishes.trace(*BASE, "-bind 81", "!own mine")
    done = wishes.harden("verify", "--minimize", "capabilities", "--json", "--yes")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["removed"], found["kept"], found["complete"]) == (["CAP_NET_BIND_SERVICE"], ["CAP_CHOWN"], True)
    assert tomllib.loads(wishes.local.read_text())["remove"] == {"capabilities": ["CAP_NET_BIND_SERVICE"]}
    ran = wishes.harden("run")
    assert (ran.returncode, ran.stdout.splitlines()) == (0, [f"{line}: ok" for line in (*BASE, "!own mine")])


def test_minimize_syscalls_keeps_what_changes_the_output(wishes: Wishes) -> None:
    wishes.trace(*BASE, "-call 110", "call 102")
    text = wishes.local.read_bytes()
    done = wishes.harden("verify", "--minimize", "syscalls", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "getppid" in found["removed"]
    assert {"getuid", "openat"} <= set(found["kept"])
    assert wishes.local.read_bytes() == text


def test_minimize_learns_nothing_from_a_workload_that_fails(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, f"!{GETPPID}")
    done = wishes.harden("verify", "--minimize", "syscalls")
    assert done.returncode == 125
    assert "status 1" in done.stderr
