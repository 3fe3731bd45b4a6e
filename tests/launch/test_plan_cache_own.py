"""What is one start's own in a kept plan: the one-shot cookie and the ids."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from harden.bpf.action import ALLOW
from harden.bpf.compile import compile_filter
from harden.bpf.instruction import decode
from harden.bpf.simulate import Simulator
from harden.launch import cached_plan, fact
from harden.launch.cached_plan import Entry
from harden.launch.encode import Header
from harden.launch.plan_cache import template
from harden.model.arch import Arch
from harden.model.sandbox import SeccompFilter, View
from tests import recordings
from tests.launch.test_plan_cache import COMMAND
from tests.sandboxes import ROOT, plan_of, shell

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap", "gcc")

COOKIE = 0x1234567890ABCDEF


def kept_filter(cookie: int) -> Entry:
    rights = recordings.small_profile().rights
    compiled = compile_filter(rights, exec_cookie=cookie)
    seccomp = SeccompFilter(program=compiled.program, exec_cookie=compiled.exec_cookie)
    entry = template(plan_of(shell("true", view=View.MINIMAL, seccomp=seccomp)), Header())
    assert entry is not None
    return entry


@pytest.fixture
def shown_plans(tmp_path) -> tuple[Entry, list[bytes]]:
    """An entry, and the plans that harden-exec gets from it in twenty starts."""
    entry = kept_filter(COOKIE)
    program = tmp_path / "show_plan"
    subprocess.run(["gcc", "-static", str(ROOT / "tests/launch/show_plan.c"), "-o", str(program)], check=True)
    entry.program, entry.cgroup, entry.fds, entry.cgroup_names = bytes(program), b"", [], []
    arguments = ["run", "--", str(tmp_path)]
    entry.key = cached_plan.key(arguments)
    entry.facts = [b"stat", b"/", fact.answer(b"stat", b"/")]
    file = Path("/run", cached_plan.FOLDER, cached_plan.name_of(entry.key))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(cached_plan.encode_entry(entry))
    try:
        ends = [subprocess.run([COMMAND, *arguments], capture_output=True, check=True) for _ in range(20)]
    finally:
        file.unlink()
    return entry, [ended.stdout for ended in ends]


def test_each_start_has_a_cookie_of_its_own_and_the_filter_knows_it(shown_plans):
    entry, plans = shown_plans
    execve = 59
    cookies = set()
    for plan in plans:
        (cookie,) = struct.unpack_from("=Q", plan, entry.cookie[0])
        cookies.add(cookie)
        # The profile's filter is the last one.
        size = len(compile_filter(recordings.small_profile().rights, exec_cookie=COOKIE).program)
        simulator = Simulator(decode(plan[-size:]))
        arch = Arch.X86_64.audit_arch
        assert simulator.run(arch, execve, (1, 2, 3, 0, 0, cookie)) == ALLOW
        for wrong in (COOKIE, cookie ^ 1, cookie ^ 1 << 63, 0):
            assert simulator.run(arch, execve, (1, 2, 3, 0, 0, wrong)) != ALLOW
    assert len(cookies) == 20


def test_so_has_one_by_python():
    entry = kept_filter(COOKIE)
    for _ in range(20):
        plan = bytearray(entry.plan)
        cached_plan.write_cookie(plan, entry)
        (cookie,) = struct.unpack_from("=Q", plan, entry.cookie[0])
        size = len(compile_filter(recordings.small_profile().rights, exec_cookie=COOKIE).program)
        simulator = Simulator(decode(bytes(plan[-size:])))
        arch = Arch.X86_64.audit_arch
        assert simulator.run(arch, 59, (1, 2, 3, 0, 0, cookie)) == ALLOW
        assert simulator.run(arch, 59, (1, 2, 3, 0, 0, COOKIE)) != ALLOW


def test_each_start_has_ids_of_its_own_and_nothing_else_changes(shown_plans):
    entry, plans = shown_plans
    own = [(at, 10) for at in entry.first_ids] + [(at, 8) for at in entry.cookie]
    own += [(at, 4) for half in entry.filter_halves for at in half]
    for plan in plans:
        assert {plan[at : at + 10] for at in entry.first_ids} < {b"%d" % (1879048192 + i * 65536) for i in range(4094)}
        same = bytearray(plan)
        for at, size in own:
            same[at : at + size] = entry.plan[at : at + size]
        assert bytes(same) == entry.plan


def test_a_filter_that_uses_a_half_for_something_else_is_not_kept():
    """No cookie is drawn like this one; its halves are the numbers of system calls."""
    rights = recordings.small_profile().rights
    cookie = (1 << 32) | 2
    compiled = compile_filter(rights, exec_cookie=cookie)
    seccomp = SeccompFilter(program=compiled.program, exec_cookie=cookie)
    assert template(plan_of(shell("true", view=View.MINIMAL, seccomp=seccomp)), Header()) is None
