"""Which controllers can be used and why not, told from the files of cgroup hierarchies; ranges of ids likewise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.kernel.controllers import CONTROLLERS, is_alone, probe_controllers
from harden.kernel.mountinfo import Mount
from harden.kernel.subid import read_id_ranges
from harden.model.control import Control


def mount(point: Path | bytes, filesystem: bytes, *options: bytes) -> Mount:
    return Mount(
        mount_id=1,
        parent_id=0,
        root=b"/",
        point=os.fsencode(point),
        options=frozenset(),
        filesystem=filesystem,
        super_options=frozenset(options),
    )


def cgroup(folder: Path, *, available: str, passed_on: str = "", processes: str = "", root: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cgroup.controllers").write_text(available)
    (folder / "cgroup.subtree_control").write_text(passed_on)
    (folder / "cgroup.procs").write_text(processes)
    if not root:
        (folder / "cgroup.type").write_text("domain\n")
    return folder


def state(mounts: tuple[Mount, ...], own: Path | None, *, writable: bool = True, control: Control = Control.MEMORY):
    return probe_controllers(mounts, None if own is None else os.fsencode(own), writable=writable)[control]


def test_what_the_root_has_can_be_used_whoever_is_in_it(tmp_path):
    top = cgroup(tmp_path, available="cpu memory\n", processes="1\n2\n", root=True)
    mounts = (mount(top, b"cgroup2"),)
    assert state(mounts, top).works
    missing = state(mounts, top, control=Control.PIDS)
    assert missing.reason == "this kernel has no pids controller"
    assert "CONFIG_CGROUP_PIDS=y" in missing.fix


@pytest.mark.parametrize(("control", "name"), [(Control.MEMORY, b"memory"), (Control.IO, b"blkio")])
def test_a_controller_on_v1_is_named_with_its_place(tmp_path, control, name):
    top = cgroup(tmp_path, available="", root=True)
    mounts = (mount(b"/old", b"cgroup", b"rw", name), mount(top, b"cgroup2"))
    found = state(mounts, top, control=control)
    assert found.reason == f"the {control} controller is on cgroup v1 (/old)"
    assert "cgroup_no_v1=all" in found.fix


def test_a_cgroup_passes_on_what_it_can_only_when_harden_is_alone_in_it(tmp_path):
    top = cgroup(tmp_path, available="memory\n", root=True)
    own = cgroup(tmp_path / "scope", available="memory\n", processes=f"{os.getpid()}\n")
    mounts = (mount(top, b"cgroup2"),)
    assert is_alone(os.fsencode(own))
    assert state(mounts, own).works
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n1\n")
    assert not is_alone(os.fsencode(own))
    crowded = state(mounts, own)
    assert crowded.reason == f"other processes are in the cgroup {own}, so that it cannot pass memory on"
    assert "systemd-run " in crowded.fix
    (own / "cgroup.subtree_control").write_text("memory\n")
    assert state(mounts, own).works


def test_what_was_not_delegated_is_told_apart_from_what_does_not_exist(tmp_path):
    top = cgroup(tmp_path, available="memory pids\n", root=True)
    own = cgroup(tmp_path / "scope", available="pids\n", processes=f"{os.getpid()}\n")
    mounts = (mount(top, b"cgroup2"),)
    assert state(mounts, own).reason == f"the memory controller is not delegated to {own}"
    assert state(mounts, own, control=Control.CPU).reason == "this kernel has no cpu controller"
    assert state(mounts, own, control=Control.PIDS).works


def test_without_a_writable_cgroup_nothing_works(tmp_path):
    top = cgroup(tmp_path, available="memory\n", root=True)
    for own, writable, reason in ((None, False, "no cgroup v2"), (top, False, "not writable")):
        found = probe_controllers(
            (mount(top, b"cgroup2"),), None if own is None else os.fsencode(own), writable=writable
        )
        assert reason in found[Control.MEMORY].reason
        assert all(found[control].fix for control in CONTROLLERS)


def test_ranges_are_read_from_the_files(tmp_path):
    own = str(os.getuid())
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(f"other:1:65536\n\n{own}:5:100\nbroken\n{own}:300000:65536\n{own}:900000:70000\n")
    found = read_id_ranges(tmp_path)
    assert found.uids is not None
    assert (found.uids.first, found.uids.count) == (300000, 65536)
    assert found.usable == (found.reason == "")


def test_a_missing_range_is_named_with_its_file(tmp_path):
    (tmp_path / "subuid").write_text(f"{os.getuid()}:300000:65536\n")
    found = read_id_ranges(tmp_path)
    assert not found.usable
    assert found.reason.startswith((f"{tmp_path}/subgid has no range of 65535 ids", "newuidmap and newgidmap are not"))
    assert found.fix
