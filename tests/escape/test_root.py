"""Attacks on the root: whatever name or mount leads past it must not reach a file of the host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escape.attempts import EVERY_CAPABILITY, USERS, VIEWS, attack, attack_bare
from tests.sandboxes import NOBODY

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc")


@pytest.fixture
def canary() -> Iterator[Path]:
    """A file that both users may write on the host, in a folder that no view shows writable."""
    folder = Path("/var/lib") / f"harden-canary-{os.getpid()}"
    folder.mkdir(mode=0o755)
    path = folder / "canary"
    path.write_text("alive")
    os.chown(path, NOBODY, NOBODY)
    yield path
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.proves("own root")
@pytest.mark.attack(8)
@pytest.mark.parametrize("capabilities", [frozenset(), EVERY_CAPABILITY], ids=["none", "all"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_name_and_no_mount_leads_past_the_root(victim, canary, uid, view, capabilities):
    program = victim("attack_root", static=True)
    attack(program, str(canary)[1:], uid=uid, view=view, capabilities=capabilities)
    assert canary.read_text() == "alive"


@pytest.mark.attack(8)
def test_the_twin_reaches_the_file_by_the_same_names(victim, canary):
    attempts = attack_bare(victim("attack_root", static=True), str(canary)[1:], prefix=("unshare", "--mount"))
    assert attempts["/../"] == "done"
    assert canary.read_text() != "alive"
