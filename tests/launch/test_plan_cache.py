"""A start from a kept plan: what it imports, that it does the same, and that everything a plan depends on ends it."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harden.bpf.action import ALLOW
from harden.bpf.compile import compile_filter
from harden.bpf.instruction import decode
from harden.bpf.simulate import Simulator
from harden.errors import HardenError
from harden.folder_guard import guards
from harden.launch import cached_plan
from harden.launch.cached_plan import Entry
from harden.launch.encode import Header
from harden.launch.lookups import Lookups
from harden.launch.plan_cache import template
from harden.model.arch import Arch
from harden.model.sandbox import Bind, SeccompFilter, View
from tests import recordings
from tests.sandboxes import NOBODY, ROOT, plan_of, shell

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap")

COMMAND = [sys.executable, "-X", "importtime", str(ROOT / "sandbox/script/harden")]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
WARM = {
    "harden",
    "harden.__main__",
    "harden.launch",
    "harden.launch.cached_plan",
    "harden.launch.fact",
    "harden.errors",
    "harden.kernel",
    "harden.kernel.idmap",
}
NOT_OURS = {"fcntl", "errno", "__future__"}
"""Of the standard library, beside what the interpreter imports by itself."""


class Start(msgspec.Struct, frozen=True):
    """How a start went: what it imported, and what it said."""

    status: int
    output: str
    said: str
    imported: frozenset[str]

    @property
    def warm(self) -> bool:
        return "click" not in self.imported


def run(folder: Path, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> Start:
    variables = {**ENVIRONMENT, **environment}
    command = [*before, *COMMAND, "run", *arguments]
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    times: list[str] = []
    rest: list[str] = []
    for line in ended.stderr.splitlines():
        (times if line.startswith("import time:") else rest).append(line)
    return Start(ended.returncode, ended.stdout, "\n".join(rest), frozenset(line.split()[-1] for line in times))


@pytest.fixture
def folder(tmp_path):
    """A profile of `cat` that was kept by a first start."""
    (tmp_path / "first").write_text("one\n")
    (tmp_path / "second").write_text("two\n")
    (tmp_path / "link").symlink_to("first")
    traced = [*COMMAND[:1], *COMMAND[3:], "trace", "--name", "cat", "--", "/bin/cat", str(tmp_path / "link")]
    done = subprocess.run(traced, cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == 0
    assert not run(tmp_path).warm
    return tmp_path


def test_a_warm_start_imports_next_to_nothing(folder):
    bare = subprocess.run([*COMMAND[:3], "-c", ""], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    interpreter = {line.split()[-1] for line in bare.stderr.splitlines()}
    start = run(folder)
    assert start.imported - interpreter == WARM | NOT_OURS
    assert start.output == "one\n"


def test_it_says_and_does_the_same(folder):
    profile = folder / "cat.profile.toml"
    profile.write_text(re.sub('"sha256:[0-9a-f]*"', f'"sha256:{"0" * 64}"', profile.read_text()))
    cold, warm = run(folder), run(folder)
    assert (cold.warm, warm.warm) == (False, True)
    assert "is not the file that was recorded" in cold.said
    assert (warm.status, warm.output, warm.said) == (cold.status, cold.output, cold.said)


def test_the_status_is_the_programs(folder):
    run(folder, "--", "/bin/cat", "nothing")
    start = run(folder, "--", "/bin/cat", "nothing")
    assert (start.warm, start.status) == (True, 1)


def change_profile(folder: Path) -> None:
    with (folder / "cat.profile.toml").open("a") as file:
        file.write("# changed\n")


def make_local(folder: Path) -> None:
    (folder / "cat.local.toml").write_text('format = "harden-local/1"\n')


def turn_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("second")


def remove_what_was_seen(folder: Path) -> None:
    (folder / "first").unlink()


def let_others_write(folder: Path) -> None:
    (folder / "cat.profile.toml").chmod(0o666)


def add_another_profile(folder: Path) -> None:
    (folder / "other.profile.toml").write_bytes((folder / "cat.profile.toml").read_bytes())


CHANGES = [change_profile, make_local, turn_link, remove_what_was_seen, let_others_write, add_another_profile]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_in_the_file_system_ends_it(folder, change):
    assert run(folder).warm
    change(folder)
    assert not run(folder).warm


@pytest.mark.parametrize(
    ("arguments", "before", "environment"),
    [
        (("--timeout", "9"), (), {}),
        ((), (), {"LANG": "C"}),
        ((), ("setpriv", "--no-new-privs"), {}),
        ((), ("setpriv", "--bounding-set=-sys_time"), {}),
        ((), ("unshare", "--mount"), {}),
        ((), ("unshare", "--net"), {}),
    ],
)
def test_other_circumstances_are_another_start(folder, arguments, before, environment):
    assert run(folder).warm
    assert not run(folder, *arguments, before=before, **environment).warm


def test_another_mount_ends_it(folder):
    command = " ".join([*COMMAND, "run", "2>&1"])
    script = f"{command}; {command}; mount -t tmpfs none /mnt; echo mounted; {command}"
    shown = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    before, after = shown.split("mounted\n")
    warm = before.rindex("harden.launch.cached_plan")
    assert "click" not in before[warm:]
    assert "click" in after


def entry_of(folder: Path) -> Path:
    plans = Path("/run", cached_plan.FOLDER)
    (found,) = [path for path in plans.iterdir() if os.fsencode(folder) in path.read_bytes()]
    return found


def test_a_damaged_entry_is_ignored_and_written_anew(folder):
    entry = entry_of(folder)
    good = entry.read_bytes()
    numbers = random.Random(1)
    damaged = [b"", good[:8], good[:-1], good + b"x", good[:16] + good[17:], b"\xff" * len(good)]
    for bad in [*damaged, *(numbers.randbytes(len(good)) for _ in range(3))]:
        entry.write_bytes(bad)
        start = run(folder)
        assert (start.warm, start.output) == (False, "one\n")
    assert run(folder).warm


def test_an_entry_that_others_could_have_written_is_ignored(folder):
    entry = entry_of(folder)
    words = key_in(entry)
    assert cached_plan.read(words) is not None
    entry.chmod(0o620)
    assert cached_plan.read(words) is None
    entry.chmod(0o600)
    os.chown(entry, NOBODY, NOBODY)
    assert cached_plan.read(words) is None
    os.chown(entry, 0, 0)
    copy = entry.with_name("copy")
    entry.rename(copy)
    entry.symlink_to(copy)
    assert cached_plan.read(words) is None
    entry.unlink()
    copy.rename(entry)
    assert cached_plan.read(words) is not None
    assert (entry.stat().st_mode & 0o777, entry.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def key_in(entry: Path) -> list[bytes]:
    words = entry.read_bytes()[16:].split(b"\0")
    return words[1 : 1 + int(words[0])]


@pytest.mark.parametrize("path", [b"/run", b"/run/harden", b"/run/harden/plans"])
def test_no_program_may_write_where_plans_are_kept(path, tmp_path):
    spec = shell("true", binds=(Bind(source=path, target=b"/mnt", writable=True),))
    with pytest.raises(HardenError, match="harden keeps its plans"):
        guards(tmp_path, spec)


def kept_filter(cookie: int) -> Entry:
    rights = recordings.small_profile().rights
    compiled = compile_filter(rights, exec_cookie=cookie)
    seccomp = SeccompFilter(program=compiled.program, exec_cookie=compiled.exec_cookie)
    entry = template(plan_of(shell("true", view=View.MINIMAL, seccomp=seccomp)), Header())
    assert entry is not None
    return entry


def test_each_start_has_a_cookie_of_its_own_and_the_filter_knows_it():
    old = 0x1234567890ABCDEF
    entry = kept_filter(old)
    execve = 59
    cookies = set()
    for _ in range(20):
        plan = bytearray(entry.plan)
        cached_plan.write_cookie(plan, entry)
        (cookie,) = struct.unpack_from("=Q", plan, entry.cookie[0])
        cookies.add(cookie)
        # The profile's filter is the last one.
        size = len(compile_filter(recordings.small_profile().rights, exec_cookie=old).program)
        simulator = Simulator(decode(bytes(plan[-size:])))
        arch = Arch.X86_64.audit_arch
        assert simulator.run(arch, execve, (1, 2, 3, 0, 0, cookie)) == ALLOW
        for wrong in (old, cookie ^ 1, cookie ^ 1 << 63, 0):
            assert simulator.run(arch, execve, (1, 2, 3, 0, 0, wrong)) != ALLOW
    assert len(cookies) == 20


def test_a_filter_that_uses_a_half_for_something_else_is_not_kept():
    """No cookie is drawn like this one; its halves are the numbers of system calls."""
    rights = recordings.small_profile().rights
    cookie = (1 << 32) | 2
    compiled = compile_filter(rights, exec_cookie=cookie)
    seccomp = SeccompFilter(program=compiled.program, exec_cookie=cookie)
    assert template(plan_of(shell("true", view=View.MINIMAL, seccomp=seccomp)), Header()) is None


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
