"""What a trace was given is stored as text and comes back the same; a command line adds to it or replaces."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import msgspec
import pytest

from harden.errors import DocumentError, UsageError
from harden.model.document import parse_json, parse_toml
from harden.model.isolation import Isolation, OverlayMount, TmpfsMount
from harden.model.limit import DeviceRule, IoLimit, Limits, Rlimit
from harden.model.profile import PROFILE_FORMAT, Profile
from harden.model.sandbox import Bind
from harden.model.stored_isolation import NO_ISOLATION, StoredDevice, StoredIsolation
from harden.render.isolation_text import isolation_options
from harden.render.profile_toml import render_profile
from harden.stored_options import Given, joined_binds, joined_isolation, restored, stored
from tests.recordings import small_profile

NULL = os.stat("/dev/null").st_rdev
DEVICE = DeviceRule(path=b"/dev/null", character=True, major=os.major(NULL), minor=os.minor(NULL), make=True)
NOFILE = Rlimit(name="nofile", resource=resource.RLIMIT_NOFILE, soft=64, hard=128)
CPU = Rlimit(name="cpu", resource=resource.RLIMIT_CPU, soft=9, hard=2**64 - 1)
EVERYTHING = Isolation(
    limits=Limits(
        cpus=0.5, memory=1 << 29, memory_high=1 << 28, swap=0, pids=65, cpuset="0-1,3", devices=(DEVICE,),
    ),
    rlimits=(NOFILE, CPU),
    groups=(5, 7),
    tmpfs=(TmpfsMount(target=b"/scratch", size=1 << 20), TmpfsMount(target=b"/a\xffb")),
    overlays=(OverlayMount(lower=b"/etc", target=b"/copy"),),
)  # fmt: skip


def test_everything_comes_back() -> None:
    kept = stored(EVERYTHING, "box")
    assert kept.hostname == "box"
    assert kept.pids == 64
    assert restored(kept) == EVERYTHING


def test_another_root_comes_back(tmp_path: Path) -> None:
    isolation = Isolation(rootfs=os.fsencode(tmp_path))
    assert restored(stored(isolation, None)) == isolation


def test_it_survives_a_profile_and_is_text_for_people() -> None:
    profile = small_profile()
    workload = msgspec.structs.replace(profile.workload, isolation=stored(EVERYTHING, "box"))
    text = render_profile(msgspec.structs.replace(profile, workload=workload))
    assert b"[workload.isolation]" in text
    read = parse_toml(text, Profile, format=PROFILE_FORMAT, file="x")
    assert read.workload.isolation == stored(EVERYTHING, "box")
    shown = isolation_options(read.workload.isolation)
    assert "--tmpfs /scratch:1048576" in shown
    assert "--rlimit cpu=9:unlimited" in shown
    assert "--device /dev/null:rwm" in shown
    assert len(shown) == 14


def test_a_profile_without_options_is_as_it_was() -> None:
    """Files of earlier versions are read, and the ids of their runs stay."""
    assert stored(Isolation(pass_fds=(5,), die_with_parent=True), None) is NO_ISOLATION
    workload = msgspec.structs.replace(small_profile().workload, isolation=stored(Isolation(), None))
    assert b"isolation" not in msgspec.json.encode(workload)
    assert b"isolation" not in render_profile(small_profile())


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": 0},
        {"cpus": 0},
        {"pids": 0},
        {"swap": -1},
        {"cpuset": "0-"},
        {"rootfs": "relative"},
        {"rootfs": "/"},
        {"rootfs": "/a/../b"},
        {"groups": [70000]},
        {"hostname": "x" * 65},
        {"tmpfs": [{"target": "/a", "size": 0}]},
        {"tmpfs": [{"target": "a"}]},
        {"tmpfs": [{"target": "/a\\x00"}]},
        {"overlays": [{"lower": "/a"}]},
        {"devices": [{"path": "/dev/null", "access": "x"}]},
        {"devices": [{"path": "/dev/null", "access": ""}]},
        {"io": [{"path": "/dev/sda"}]},
        {"io": [{"path": "/dev/sda", "wbps": 0}]},
        {"rlimits": [{"name": "files"}]},
        {"rlimits": [{"name": "core", "soft": 2, "hard": 1}]},
        {"rlimits": [{"name": "core", "hard": 1}]},
        {"rlimits": [{"name": "core"}, {"name": "core"}]},
        {"pass_fds": [3]},
    ],
)
def test_a_wrong_value_is_refused_with_its_place(wrong: dict[str, object]) -> None:
    profile = msgspec.to_builtins(small_profile())
    profile["workload"]["isolation"] = wrong
    with pytest.raises(DocumentError, match="workload"):
        parse_json(msgspec.json.encode(profile), Profile, format=PROFILE_FORMAT, file="x")


def test_a_command_line_replaces_values_and_adds_to_lists() -> None:
    given = Isolation(
        limits=Limits(memory=1 << 30, devices=(msgspec.structs.replace(DEVICE, write=False),)),
        rlimits=(msgspec.structs.replace(NOFILE, soft=9, hard=9),),
        groups=(8,),
        tmpfs=(TmpfsMount(target=b"/copy"), TmpfsMount(target=b"/other")),
        pass_fds=(9,),
        die_with_parent=True,
    )
    joined = joined_isolation(EVERYTHING, Given(isolation=given))
    assert (joined.limits.memory, joined.limits.memory_high, joined.limits.cpus) == (1 << 30, 1 << 28, 0.5)
    assert joined.limits.devices == given.limits.devices
    assert {(limit.name, limit.soft) for limit in joined.rlimits} == {("cpu", 9), ("nofile", 9)}
    assert joined.groups == (8,)
    assert [mount.target for mount in joined.tmpfs] == [b"/scratch", b"/a\xffb", b"/copy", b"/other"]
    assert joined.overlays == ()
    assert (joined.pass_fds, joined.die_with_parent) == ((9,), True)
    assert joined_isolation(EVERYTHING, Given()) == EVERYTHING


def test_one_disk_has_the_limits_that_were_given_last() -> None:
    kept = Isolation(limits=Limits(io=(IoLimit(major=8, minor=0, rbps=1), IoLimit(major=8, minor=16, rbps=1))))
    given = Isolation(limits=Limits(io=(IoLimit(major=8, minor=0, wbps=2),)))
    found = joined_isolation(kept, Given(isolation=given)).limits.io
    assert [(limit.minor, limit.rbps, limit.wbps) for limit in found] == [(16, 1, None), (0, None, 2)]


def test_at_one_place_is_what_was_given() -> None:
    kept = (Bind(source=b"/a", target=b"/x"), Bind(source=b"/b", target=b"/y"), Bind(source=b"/c", target=b"/z"))
    given = Given(
        binds=(Bind(source=b"/d", target=b"/x/", writable=True), Bind(source=b"/e", target=b"/scratch")),
        isolation=Isolation(tmpfs=(TmpfsMount(target=b"/y"),)),
    )
    assert [(bind.source, bind.target) for bind in joined_binds(kept, given)] == [
        (b"/c", b"/z"),
        (b"/d", b"/x/"),
        (b"/e", b"/scratch"),
    ]
    assert [mount.target for mount in joined_isolation(EVERYTHING, given).tmpfs] == [b"/a\xffb", b"/y"]


@pytest.mark.parametrize("option", ["rootfs", "device"])
def test_a_link_that_came_later_is_not_followed(option: str, tmp_path: Path) -> None:
    """A program that may write to the folder could lead the next start to any place of the host."""
    place = tmp_path / "place"
    kept = (
        StoredIsolation(rootfs=str(place))
        if option == "rootfs"
        else StoredIsolation(devices=(StoredDevice(path=str(place), access="r"),))
    )
    place.symlink_to("/etc" if option == "rootfs" else "/dev/null")
    with pytest.raises(UsageError, match=f"the stored option --{option}: there is a symbolic link") as caught:
        restored(kept)
    assert "[workload.isolation]" in (caught.value.hint or "")
    place.unlink()
    if option == "rootfs":
        place.mkdir()
        assert restored(kept).rootfs == os.fsencode(place)


def test_what_is_gone_is_said() -> None:
    for kept in (
        StoredIsolation(rootfs="/no/such/root"),
        StoredIsolation(devices=(StoredDevice(path="/dev/no-such", access="r"),)),
        StoredIsolation(devices=(StoredDevice(path="/etc/passwd", access="r"),)),
    ):
        with pytest.raises(UsageError, match="the stored option"):
            restored(kept)
