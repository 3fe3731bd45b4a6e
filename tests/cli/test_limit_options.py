"""Values of the options that limit and extend a sandbox."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.cli.isolation_options import parse_groups, parse_overlay, parse_pass_fds, parse_rootfs, parse_tmpfs
from harden.cli.limit_options import parse_cpuset, parse_device, parse_io, parse_limits, parse_rlimit, parse_size
from harden.errors import UsageError
from harden.model.isolation import OverlayMount, TmpfsMount
from harden.model.limit import Limits, Rlimit

NONE: dict[str, Any] = {"cpus": None, "memory": None, "memory_high": None, "swap": None, "pids": None, "cpuset": None}
UNLIMITED = 2**64 - 1


def limits(**given: Any) -> Limits:
    return parse_limits(**{**NONE, "io": (), "device": (), **given})


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("17", 17), ("4k", 4096), ("512M", 512 << 20), ("2G", 2 << 30), ("1T", 1 << 40)]
)
def test_sizes(text, size):
    assert parse_size("--memory", text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5G", "max", "1 G", "1KB", "\u0663", "0x10", "1\n"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="--memory"):
        parse_size("--memory", text)


MORE = "99999999T"


@pytest.mark.parametrize(
    "option",
    [
        lambda: parse_tmpfs(f"/x:{MORE}"),
        lambda: parse_rlimit(f"fsize={MORE}"),
        lambda: parse_io(f"/dev/null:wbps={MORE}"),
        lambda: limits(memory=MORE),
        lambda: limits(memory_high=MORE),
        lambda: limits(swap=MORE),
    ],
)
def test_more_bytes_than_the_kernel_counts_are_refused(option):
    with pytest.raises(UsageError, match=f"'{MORE}': more than 9223372036854775807 bytes"):
        option()


def test_nearly_as_many_are_not():
    assert parse_size("--memory", "8388607T") == 8388607 << 40


def test_limits_become_files_of_the_cgroup():
    found = limits(cpus=1.5, memory="100M", memory_high="64M", swap="0", pids=10, cpuset="3,1-2,0")
    assert [(file.name, file.value) for file in found.files()] == [
        ("cpu.max", "150000 100000"),
        ("memory.max", str(100 << 20)),
        ("memory.high", str(64 << 20)),
        ("memory.swap.max", "0"),
        ("pids.max", "11"),
        ("cpuset.cpus", "0-3"),
        ("cpuset.cpus.effective", "0-3"),
    ]
    assert [file.name for file in found.files() if not file.is_written] == ["cpuset.cpus.effective"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpus": 0.0},
        {"cpus": 0.001},
        {"cpus": float("nan")},
        {"cpus": float("inf")},
        {"memory": "0"},
        {"memory": "100"},
        {"memory": "all"},
        {"pids": 0},
        {"pids": -1},
        {"pids": 1 << 40},
        {"cpuset": ""},
        {"cpuset": "3-1"},
        {"cpuset": "a"},
        {"cpuset": "0,,1"},
        {"cpuset": "-1"},
    ],
)
def test_what_is_no_limit_is_refused(wrong):
    with pytest.raises(UsageError):
        limits(**wrong)


def test_memory_is_in_whole_pages_as_the_kernel_stores_it():
    assert limits(memory="10000").memory == 8192


@given(st.sets(st.integers(0, 200), min_size=1))
def test_a_list_of_processors_means_the_same_afterwards(numbers):
    text = parse_cpuset(",".join(map(str, numbers)))
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == numbers
    assert parse_cpuset(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/dev/null", "/dev/null:rbps=1", "/x:rbps", ":rbps=1", "/nowhere:rbps=1", "/etc:bps=1", "/etc:rbps=0"],
)
def test_what_is_no_disk_limit_is_refused(text):
    with pytest.raises(UsageError, match="--io"):
        parse_io(text)


def test_a_device_is_named_by_its_path():
    rule = parse_device("/dev/null")
    assert (rule.path, rule.character, rule.major, rule.minor, rule.access) == (b"/dev/null", True, 1, 3, 6)
    assert rule.number == os.stat("/dev/null").st_rdev
    assert parse_device("/dev/zero:r").access == 2
    assert parse_device("/dev/zero:rwm").access == 7
    for wrong in ("/dev/nothing", "/etc/passwd", "/dev/null:x", ""):
        with pytest.raises(UsageError, match="--device"):
            parse_device(wrong)


def test_rlimits():
    assert parse_rlimit("nofile=64") == Rlimit(name="nofile", resource=7, soft=64, hard=64)
    assert parse_rlimit("RLIMIT_AS=1G:unlimited") == Rlimit(name="as", resource=9, soft=1 << 30, hard=UNLIMITED)
    for wrong in ("", "nofile", "nofile=", "files=1", "nofile=2:1", "nofile=1:2:3", "nofile=-1", "ofile=1"):
        with pytest.raises(UsageError, match="--rlimit"):
            parse_rlimit(wrong)


def test_mounts():
    assert parse_tmpfs("/data") == TmpfsMount(target=b"/data")
    assert parse_tmpfs("/data/:8M") == TmpfsMount(target=b"/data", size=8 << 20)
    assert parse_overlay("/srv:/data") == OverlayMount(lower=b"/srv", target=b"/data")
    for wrong in ("", "data", "/", "/a/../b", "/data:0", "/data:big", "/data:"):
        with pytest.raises(UsageError, match="--tmpfs"):
            parse_tmpfs(wrong)
    for wrong in ("", "/srv", ":/data", "/srv:data", "/srv:/", "/srv:/a/../b"):
        with pytest.raises(UsageError, match="--overlay"):
            parse_overlay(wrong)


def test_a_root_file_system_is_a_folder_of_its_own(tmp_path):
    assert parse_rootfs(str(tmp_path)) == os.fsencode(tmp_path)
    assert parse_rootfs(None) is None
    for wrong in ("/", "/.", "/etc/passwd", "/nowhere"):
        with pytest.raises(UsageError, match="--rootfs"):
            parse_rootfs(wrong)


def test_groups():
    assert parse_groups(["7,5", "root", "5"]) == (0, 5, 7)
    with pytest.raises(UsageError, match="no such group"):
        parse_groups(["no-such-group"])


def test_only_what_the_caller_handed_over_is_passed_on():
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_inheritable(writer, True)
        assert parse_pass_fds([writer, writer]) == (writer,)
        for wrong in (reader, 0, 2, -1, 987_654, 1 << 40):
            with pytest.raises(UsageError, match="--pass-fd"):
                parse_pass_fds([wrong])
    finally:
        os.close(reader)
        os.close(writer)
