"""What the two kernels of the guests lack gives the documented degradation, and the README shows what was seen."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.e2e.jobs import harden
from tests.vm.guest import SHARE
from tests.vm.kernel import KERNELS
from tests.vm.plugin import ROOT, share_of
from tests.vm.seen import Seen, look, render_table

EXPECTED = {
    "6.1": {"Landlock ABI": "2", "capability hooks": "fexit, kprobe"},
    "6.12": {"Landlock ABI": "6", "capability hooks": "fexit, kprobe"},
}
LOST = {"6.1": "Landlock ABI 2 lacks some file rights and TCP ports and scopes", "6.12": ""}
TMPFS = Path("/mnt/tmpfs")


def this_guest() -> str:
    return os.environ["HARDEN_GUEST"]


@pytest.mark.requires("guest")
def test_the_kernel_gives_what_is_known_of_it():
    seen = look()
    (SHARE / "seen.json").write_bytes(msgspec.json.encode(seen))
    assert seen.kernel == this_guest()
    assert seen.cells["AppArmor"] == "yes"
    assert EXPECTED[this_guest()].items() <= seen.cells.items()
    assert {"cpu", "memory", "pids", "io", "cpuset"} <= set(seen.cells["cgroup v2 controllers"].split(", "))
    assert "ext4" in seen.cells["id-mapped mounts"].split(", ")
    assert "not 9p" in seen.cells["id-mapped mounts"].split(", ")


@pytest.mark.requires("guest", "bpf", "sqlite3")
def test_what_an_older_landlock_lacks_is_reported_as_partial(tmp_path):
    harden("trace", "--name", "app", "--", "sqlite3", "notes.db", "create table note(t)", cwd=tmp_path)
    harden("run", "--enforced-json", "enforced.json", cwd=tmp_path)
    document = json.loads((tmp_path / "enforced.json").read_text())
    (landlock,) = (each for each in document["controls"] if each["control"] == "landlock")
    lost = LOST[this_guest()]
    assert landlock["reason"] == lost
    assert landlock["enforcement"] == ("PARTIALLY_ENFORCED" if lost else "FULLY_ENFORCED")
    assert document["result"] == landlock["enforcement"]


@pytest.mark.requires("guest", "bpf")
@pytest.mark.parametrize(("mount", "kind", "lacking"), [(SHARE, "9p", KERNELS), (TMPFS, "tmpfs", ("6.1",))])
def test_a_file_system_that_cannot_be_id_mapped_is_shown_and_listed(mount, kind, lacking):
    folder = mount / "harden-test"
    folder.mkdir()
    try:
        (folder / "word").write_text("hello\n")
        done = harden("trace", "--name", "app", "--", "/bin/cat", "word", cwd=folder)
        assert done.stdout == "hello\n"
        assert (f"{mount} ({kind}) cannot be id-mapped" in done.stderr) == (this_guest() in lacking)
    finally:
        shutil.rmtree(folder)


@pytest.mark.requires("guests-done")
def test_the_readme_shows_what_was_seen():
    columns = [msgspec.json.decode(Path(share_of(series), "seen.json").read_bytes(), type=Seen) for series in KERNELS]
    here = look()
    text = Path(ROOT, "README.md").read_text()
    shown = next(block for block in text.split("\n\n") if block.startswith("| seen |"))
    if f"Linux {here.kernel} |" in shown.splitlines()[0]:
        columns.append(here)
        assert shown.rstrip("\n") + "\n" == render_table(columns)
    for line, wanted in zip(shown.splitlines(), render_table(columns).splitlines(), strict=True):
        assert line.split("|")[: len(columns) + 2] == wanted.split("|")[: len(columns) + 2]
