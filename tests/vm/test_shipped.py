"""Every shipped profile, made on another kernel, holds in the guests: its program does all that its scenarios ask."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shipped import PROGRAMS, Program, harden, surroundings
from tests.vm.test_seen import LOST, this_guest

EMULATED_S = 190
"""An emulated machine takes some ten times as long; the test itself is ended a little later."""
SCENARIOS = [
    # What it writes is thrown away with the guest: it needs no other data than the machine's own.
    pytest.param(
        replace(program, stand_in=None),
        scenario,
        id=f"{program.name}-{scenario}",
        marks=pytest.mark.requires(*program.features),
    )
    for program in PROGRAMS
    for scenario in program.scenarios
]


@pytest.fixture(scope="module", autouse=True)
def services_have_run_once() -> None:
    """nginx makes its folders when it first reads its configuration: on a Debian that has booted, it has."""
    subprocess.run(["nginx", "-t"], check=True, capture_output=True)


@pytest.mark.requires("guest", "root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")
@pytest.mark.parametrize(("program", "scenario"), SCENARIOS)
def test_a_shipped_profile_verifies_without_a_denial_in_a_guest(program: Program, scenario: str, tmp_path: Path):
    folder = shutil.copytree(program.folder, tmp_path / program.name)
    arguments = ("-p", f"{program.name}.profile.toml", "--scenario", f"{scenario}.scenario.toml", "--json")
    with surroundings(program):
        found = json.loads(harden(program, "verify", *arguments, cwd=folder, statuses=(0, 3), timeout_s=EMULATED_S))
    assert (found["denials"], found["failure"], found["lost"]) == ([], "", [])
    lost = LOST[this_guest()]
    assert found["not_enforced"] == ([f"landlock: {lost}"] if lost else [])
