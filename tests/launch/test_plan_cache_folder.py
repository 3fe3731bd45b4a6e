"""The folder where plans are kept, and what keeps a plan from being kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harden.launch import plan_cache
from harden.launch.lookups import Lookups

OTHERS = """
import os, sys
os.chdir(sys.argv[1])
while True:
    for name in range(300):
        open(f"other-{name}", "w").close()
    for name in os.listdir():
        if name.startswith("other-"):
            try:
                os.unlink(name)
            except FileNotFoundError:
                pass  # Its turn came.
"""


def test_a_plan_is_kept_beside_others_who_write_and_remove_theirs(tmp_path):
    place = tmp_path / "plans"
    place.mkdir(mode=0o700)
    with subprocess.Popen([sys.executable, "-c", OTHERS, str(place)]) as others:
        try:
            assert all(plan_cache._write(place, f"{number:032x}", b"plan") for number in range(200))
        finally:
            others.kill()


def test_what_cannot_be_asked_again_is_noticed(tmp_path):
    def write(path: Path) -> None:
        path.write_text("x")

    for act in (
        lambda: write(tmp_path / "file"),
        lambda: os.mkdir(tmp_path / "folder"),
        lambda: subprocess.run(["true"], check=True),
        lambda: os.stat("file", dir_fd=os.open(tmp_path, os.O_RDONLY)),
    ):
        with Lookups() as lookups:
            act()
        assert lookups.unknown
    with Lookups() as lookups:
        assert os.path.isdir(tmp_path)
        assert not os.path.lexists(tmp_path / "nothing")
    assert lookups.unknown == ""
    assert set(lookups.answers) == {
        (b"stat", os.fsencode(tmp_path)),
        (b"lstat", os.fsencode(tmp_path / "nothing")),
    }
