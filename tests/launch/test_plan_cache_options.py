"""Options beyond the profile are part of a kept plan; whatever they were looked up by ends it when it changes."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harden.kernel.account import account
from harden.launch import accounts, fact
from harden.launch.encode import Header
from harden.launch.lookups import Lookups
from harden.launch.plan_cache import template
from harden.model.isolation import Isolation
from harden.model.limit import DeviceRule, Limits
from harden.model.sandbox import View
from tests.launch.test_plan_cache import COMMAND, ENVIRONMENT, Start, run
from tests.sandboxes import plan_of, shell

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap")

SCRIPT = "hostname; id -u; id -G; ulimit -Sn; echo x > /scratch/x; ls /shown /copy; cat /dev/node; true"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A profile of a shell that looks at everything that the options below give, and a place for devices."""
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown/one").write_text("")
    (tmp_path / "lower").mkdir()
    (tmp_path / "lower/two").write_text("")
    traced = [COMMAND, "trace", "--name", "sh", *given(tmp_path), "--", "/bin/sh", "-c", SCRIPT]
    done = subprocess.run(traced, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield tmp_path
    (tmp_path / "node").unlink(missing_ok=True)


def given(folder: Path) -> tuple[str, ...]:
    return (
        "--tmpfs", "/scratch:1M", "--overlay", f"{folder}/lower:/copy", "--bind", f"{folder}/shown:/shown",
        "--hostname", "box", "--rlimit", "nofile=64", "--groups", "7", "--user", "33:44",
    )  # fmt: skip


EXPECTED = ["box", "33", "44 7", "64", "/copy:", "two", "", "/shown:", "one"]


def test_stored_options_start_from_a_kept_plan(folder: Path) -> None:
    cold, warm = run(folder), run(folder)
    assert (cold.warm, warm.warm) == (False, True)
    assert cold.output.splitlines() == warm.output.splitlines() == EXPECTED
    assert warm.said == cold.said


OPTIONS = (
    ("--tmpfs", "/scratch:2M"),
    ("--hostname", "other"),
    ("--rlimit", "nofile=63"),
    ("--groups", "8"),
    ("--user", "34:44"),
    ("--device", "/dev/kmsg:r"),
    ("--bind", "/etc/hostname:/shown/one"),
    ("--cwd", "/usr"),
)


def warm_start(folder: Path, *option: str) -> Start:
    """The first start that needs no planning: what others mount or add on this machine meanwhile ends a kept plan."""
    start = run(folder, *option)
    for _ in range(4):
        if start.warm:
            break
        start = run(folder, *option)
    return start


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option[0])
def test_an_option_is_another_plan_and_is_kept_too(folder: Path, option: tuple[str, str]) -> None:
    run(folder)
    cold, warm = run(folder, *option), warm_start(folder, *option)
    assert (cold.warm, warm.warm) == (False, True), warm.said
    assert (warm.status, warm.output) == (cold.status, cold.output)
    assert warm_start(folder).warm


def move_bind(folder: Path) -> None:
    (folder / "shown").rename(folder / "gone")
    (folder / "shown").mkdir()


def link_bind(folder: Path) -> None:
    (folder / "shown").rename(folder / "gone")
    (folder / "shown").symlink_to("gone")


def remove_lower(folder: Path) -> None:
    (folder / "lower").rename(folder / "gone")


@pytest.mark.parametrize("change", [move_bind, link_bind, remove_lower], ids=lambda change: change.__name__)
def test_what_an_option_names_ends_it_when_it_changes(folder: Path, change: Callable[[Path], None]) -> None:
    run(folder)
    assert run(folder).warm
    change(folder)
    assert not run(folder).warm


def test_a_hard_limit_of_the_caller_ends_it(folder: Path) -> None:
    run(folder)
    assert run(folder).warm
    lower = run(folder, before=("prlimit", "--nofile=60:60"))
    assert not lower.warm
    assert "rlimits: cannot be enforced: nofile cannot be 64" in lower.said


def test_another_device_at_its_path_ends_it(folder: Path) -> None:
    """By the same name, owner and mode."""
    node = folder / "node"

    def make(minor: int) -> None:
        node.unlink(missing_ok=True)
        os.mknod(node, 0o20600, os.makedev(1, minor))

    make(3)
    option = ("--device", f"{node}:r", "--", "/bin/sh", "-c", "echo ran")
    cold, warm = run(folder, *option), run(folder, *option)
    assert (cold.warm, warm.warm) == (False, True)
    assert cold.output == warm.output == "ran\n", warm.said
    before = fact.answer(b"stat", os.fsencode(node)).split()
    make(5)
    after = fact.answer(b"stat", os.fsencode(node)).split()
    assert (before[2:5], before[5]) == (after[2:5], b"259")
    changed = run(folder, *option)
    assert (changed.warm, changed.output) == (False, "ran\n")


def test_the_node_of_a_device_belongs_to_the_ids_of_each_start() -> None:
    number = os.stat("/dev/kmsg").st_rdev
    rule = DeviceRule(path=b"/dev/kmsg", character=True, major=os.major(number), minor=os.minor(number))
    limits = Isolation(limits=Limits(devices=(rule,)))
    planned = plan_of(shell("true", view=View.MINIMAL, uid=33, gid=44, isolation=limits))
    entry = template(planned, Header())
    assert entry is not None
    assert entry.owners[1::2] == [33, 44]
    (base,) = {
        struct.unpack_from("=Q", entry.plan, at)[0] - above
        for at, above in zip(entry.owners[::2], entry.owners[1::2], strict=True)
    }
    assert entry.plan.count(b"%d" % base) == len(entry.first_ids)


def test_a_descriptor_that_is_not_there_ends_it(folder: Path) -> None:
    """The command line is the same; what the caller hands on is not."""
    passing = ("sh", "-c", 'exec 7</etc/hostname; exec "$@"', "-")
    option = ("--pass-fd", "7", "--", "/bin/sh", "-c", "cat <&7")
    run(folder, *option, before=passing)
    warm = run(folder, *option, before=passing)
    assert (warm.warm, warm.output) == (True, Path("/etc/hostname").read_text())
    missing = run(folder, *option)
    assert (missing.warm, missing.status) == (False, 125)
    assert "--pass-fd 7: harden was not given that descriptor" in missing.said


def test_a_name_is_kept_with_the_file_it_is_from(folder: Path) -> None:
    option = ("--user", "daemon", "--groups", "mail")
    run(folder, *option)
    assert run(folder, *option).warm
    with Lookups() as lookups:
        lookups.ask_account("passwd", "daemon")
        lookups.ask_account("group", "mail")
    assert lookups.unknown == ""
    assert {path for _, path in lookups.answers} >= {b"/etc/passwd", b"/etc/group", b"/etc/nsswitch.conf"}
    with Lookups() as lookups:
        lookups.ask_account("passwd", "no-such-user")
    assert "no-such-user" in lookups.unknown


def test_a_user_of_the_profile_is_kept_with_the_file_he_is_from(tmp_path: Path) -> None:
    traced = [COMMAND, "trace", "--name", "sh", "--user", "daemon", "--", "/bin/sh", "-c", "id -u"]
    subprocess.run(traced, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True)
    cold, warm = run(tmp_path), run(tmp_path)
    assert (cold.warm, warm.warm) == (False, True)
    assert cold.output == warm.output == "1\n"
    with Lookups() as lookups:
        assert account("daemon", given="a test") == (1, 1)
    assert lookups.unknown == ""
    assert {path for _, path in lookups.answers} >= {b"/etc/passwd", b"/etc/nsswitch.conf"}


@pytest.mark.parametrize(
    ("sources", "known"),
    [("passwd: files systemd\n", True), ("passwd: sss files\n", False), ("group: sss\n", True), ("", True)],
)
def test_another_source_of_names_cannot_be_asked_again(
    sources: str, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nsswitch.conf").write_text(sources)
    monkeypatch.setattr(accounts, "_SOURCES", tmp_path / "nsswitch.conf")
    assert accounts.is_of_file("passwd", "root") is known
    assert accounts.is_of_file("passwd", "0") is known


def test_another_root_is_kept(folder: Path) -> None:
    root = folder / "root"
    for name in ("bin", "proc", "sys", "dev", "tmp", "copy", "shown", "scratch"):
        (root / name).mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", root / "bin/sh"], check=True)
    option = ("--rootfs", "root", "--cwd", "/", "--", "/bin/sh", "-c", "echo inside")
    cold, warm = run(folder, *option), run(folder, *option)
    assert (cold.warm, warm.warm) == (False, True)
    assert cold.output == warm.output
    (root / "copy").rename(root / "other")
    assert not run(folder, *option).warm
