"""The command `harden` by itself: what it asks the system, and that no entry leads it astray."""

from __future__ import annotations

import errno
import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harden.kernel import atomic_file
from harden.kernel.mountinfo import read_mounts
from harden.launch import cached_plan, fact
from harden.launch.cached_plan import Entry
from tests.launch.test_plan_cache import NOT_OF_PATHS
from tests.sandboxes import NOBODY, ROOT

pytestmark = pytest.mark.requires("gcc", "root")

START = ROOT / "sandbox/harden/_native/start"
C = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{START}"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
TO_PYTHON = 77


@pytest.fixture
def answers(tmp_path) -> Callable[[list[tuple[bytes, bytes]]], list[bytes]]:
    """What the command `harden` answers to (question, path), under the sanitizers."""
    program = tmp_path / "fact_answers"
    units = [ROOT / "tests/launch/fact_answers.c", START / "fact.c", START / "bytes.c"]
    subprocess.run([*C, *SANITIZE, *map(str, units), "-o", str(program)], check=True)

    def ask(asked: list[tuple[bytes, bytes]]) -> list[bytes]:
        words = [word for pair in asked for word in pair]
        said = subprocess.run([program, *words], capture_output=True, check=True, timeout=60).stdout
        return said.split(b"\0")[:-1]

    return ask


def test_both_sides_give_the_same_answers(tmp_path, answers):
    seen = tmp_path / "seen"
    (seen / "empty").mkdir(parents=True)
    (seen / "sub").mkdir(mode=0o711)
    (seen / "sub/ä\\n").write_text("")
    os.mkfifo(seen / "sub/fifo")
    (seen / "sub/-").symlink_to("nowhere")
    (seen / "sub/endless").symlink_to("/dev/zero")
    (seen / "sub/-a").mkdir()
    (seen / "sub/large").write_bytes(b"x" * 20000)
    os.utime(seen / "sub/large", ns=(1, 1 << 60))
    os.utime(seen / "sub/-a", ns=(-1_500_000_000, -1_500_000_000))
    os.chown(seen / "sub/large", 4294967294, 7)
    paths = [*map(bytes, seen.rglob("*")), bytes(seen), b"/etc", b"/proc/sys/kernel/random/boot_id"]
    paths += [
        b"/dev/null",
        b"/dev/zero",
        b"/nothing",
        b"/etc/passwd/x",
    ]
    asked = [(question, path) for question in fact.QUESTIONS for path in paths if question not in NOT_OF_PATHS]
    asked += [(b"variable", b"PATH"), (b"variable", b"NOTHING"), (b"inherited", b"0"), (b"inherited", b"999")]
    found = dict(zip(asked, answers(asked), strict=True))
    assert found == {(q, path): fact.answer(q, path) for q, path in asked}
    for question in (b"content", b"document"):
        assert found[question, b"/dev/zero"] == found[question, bytes(seen / "sub/fifo")] == b"!%d" % errno.EINVAL


def test_neither_side_reads_a_file_without_end(tmp_path, answers):
    """proc_pid_pagemap(5) is a regular file of size 0 that gives 8 bytes for each page of the address space."""
    asked = [(b"document", b"/proc/self/pagemap"), (b"content", b"/proc/self/pagemap")]
    assert answers(asked) == [fact.answer(*pair) for pair in asked] == [fact.TOO_LARGE] * 2
    assert fact.MAX_BYTES == atomic_file.MAX_BYTES


@pytest.fixture
def command(tmp_path) -> list[str]:
    """The command under the sanitizers; what it leaves to Python ends with TO_PYTHON, what it starts with 0."""
    program = tmp_path / "harden"
    subprocess.run([*C, *SANITIZE, *map(str, START.glob("*.c")), "-o", str(program)], check=True)
    (tmp_path / "harden-python").write_text(f"#!/bin/sh\nexit {TO_PYTHON}\n")
    (tmp_path / "harden-python").chmod(0o755)
    return [str(program), "run", str(tmp_path)]


def whole_entry(command: list[str]) -> Entry:
    entry = Entry()
    entry.key = cached_plan.key(command[1:])
    entry.program = b"/bin/true"
    entry.plan = bytes(range(256)) * 4
    entry.cookie, entry.filter_halves = [40], [[500, 600], [700]]
    entry.facts = [b"stat", b"/", fact.answer(b"stat", b"/")]
    return entry


def status(command: list[str], data: bytes, key: list[bytes]) -> int:
    file = Path("/run", cached_plan.FOLDER, cached_plan.name_of(key))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(data)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        file.unlink()
    assert "ERROR" not in ended.stderr, ended.stderr
    assert "runtime error" not in ended.stderr, ended.stderr
    return ended.returncode


def test_no_damage_leads_outside_an_array(command):
    entry = whole_entry(command)
    good = cached_plan.encode_entry(entry)
    assert status(command, good, entry.key) == 0
    numbers = random.Random(2)
    head = len(good) - len(entry.plan)
    ends = []
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(numbers.choice((1, 1, 3, 30))):
            bad[numbers.randrange(head)] = numbers.choice((0, 32, 48, 57, numbers.randrange(256)))
        ends.append(
            status(command, bytes(bad[: numbers.choice((len(bad), len(bad), numbers.randrange(head)))]), entry.key)
        )
    assert set(ends) <= {0, TO_PYTHON}
    assert ends.count(TO_PYTHON) > 100


@pytest.mark.parametrize("offset", [1017, 1024, 1025, 1 << 22, 1 << 64, -1])
def test_a_place_outside_the_plan_is_not_written(command, offset):
    entry = whole_entry(command)
    entry.cookie = [offset]
    assert status(command, cached_plan.encode_entry(entry), entry.key) == TO_PYTHON


@pytest.fixture
def own_cgroup() -> Iterator[Path]:
    """A cgroup for a test, in the v2 hierarchy, which has a controller, whatever was passed on before."""
    top = next(Path(os.fsdecode(mount.point)) for mount in read_mounts() if mount.filesystem == b"cgroup2")
    passed_on = top / "cgroup.subtree_control"
    before = passed_on.read_text().split()
    passed_on.write_text("+hugetlb")
    base = top / f"harden-test-{secrets.token_hex(6)}"
    base.mkdir()
    yield base
    for folder, _, _ in os.walk(base, topdown=False):
        Path(folder).rmdir()
    if "hugetlb" not in before:
        passed_on.write_text("-hugetlb")


def entry_in(command: list[str], base: Path, controllers: list[bytes]) -> Entry:
    entry = whole_entry(command)
    entry.cgroup, entry.controllers = os.fsencode(base), controllers
    entry.fds, entry.cgroup_names = [100, 104], [108]
    return entry


@pytest.mark.requires("hugetlb")
def test_controllers_are_passed_on_to_what_holds_the_limits(command, own_cgroup):
    entry = entry_in(command, own_cgroup, [b"hugetlb"])
    assert status(command, cached_plan.encode_entry(entry), entry.key) == 0
    (top,) = own_cgroup.glob("harden-*")
    assert {path.name for path in (top / "limited").glob("hugetlb.*.max")}
    assert not list((top / "limited/payload").glob("hugetlb.*.max"))


@pytest.mark.requires("hugetlb")
def test_harden_moves_out_of_the_way_where_it_is_alone(command, own_cgroup):
    entry = entry_in(command, own_cgroup, [b"hugetlb"])
    inside = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(own_cgroup)]
    assert status([*inside, *command], cached_plan.encode_entry(entry), entry.key) == 0
    assert (own_cgroup / "harden-supervisor").is_dir()
    assert (own_cgroup / "cgroup.subtree_control").read_text() == "hugetlb\n"


@pytest.mark.requires("hugetlb")
@pytest.mark.parametrize("controllers", [[b"memory"], [b"hugetlb", b"nonsense"], [b"x" * 200]])
def test_one_that_is_not_given_leaves_it_to_python_and_nothing_behind(command, own_cgroup, controllers):
    entry = entry_in(command, own_cgroup, controllers)
    assert status(command, cached_plan.encode_entry(entry), entry.key) == TO_PYTHON
    assert list(own_cgroup.glob("harden-*")) == []


@pytest.mark.requires("hugetlb")
def test_it_does_not_move_others(command, own_cgroup):
    entry = entry_in(command, own_cgroup, [b"hugetlb"])
    inside = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; "$@"; exit $?', str(own_cgroup)]
    assert status([*inside, *command], cached_plan.encode_entry(entry), entry.key) == TO_PYTHON
    assert not list(own_cgroup.glob("harden-*"))


@pytest.mark.parametrize("facts", [[b"stat", b"/", b"no"], [b"nonsense", b"/", b""], [b"stat", b"/"], []])
def test_a_fact_that_does_not_hold_leaves_it_to_python(command, facts):
    entry = whole_entry(command)
    entry.facts = facts
    assert status(command, cached_plan.encode_entry(entry), entry.key) == TO_PYTHON


def test_the_entry_of_another_start_is_not_used(command):
    entry = whole_entry(command)
    own = entry.key
    for other in ([*own, b"--network=host"], own[:-1], [*own[:-1], b"x"], [b"/", *own[1:]], [own[0], b"1:1", *own[2:]]):
        entry.key = other
        assert status(command, cached_plan.encode_entry(entry), own) == TO_PYTHON


@pytest.mark.requires("nobody")
def test_it_refuses_to_be_set_user_id(tmp_path):
    program = tmp_path / "harden"
    shutil.copy(ROOT / ".venv/bin/harden", program)
    os.chown(program, NOBODY, NOBODY)
    program.chmod(0o4755)
    ended = subprocess.run([program, "run"], capture_output=True, text=True, check=False)
    assert ended.returncode == 125
    assert ended.stderr.startswith("harden: harden: it must not be set-user-id")
