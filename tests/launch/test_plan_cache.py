"""A start from a kept plan: what it imports, that it does the same, and that everything a plan depends on ends it."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from harden.launch import cached_plan, fact
from tests.sandboxes import NOBODY, ROOT

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap")

COMMAND = str(ROOT / ".venv/bin/harden")
START = ROOT / "sandbox/harden/_native/start"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPROFILEIMPORTTIME": "1"}


IN_PYTHON = [sys.executable, "-X", "importtime", str(ROOT / "sandbox/script/harden-python")]
IMPORTED = {
    "harden",
    "harden.__main__",
    "harden.interrupt",
    "harden.launch",
    "harden.launch.cached_plan",
    "harden.launch.fact",
    "harden.errors",
    "harden.kernel",
    "harden.kernel.caller",
    "harden.kernel.cgroup_owner",
    "harden.kernel.idmap",
}
NOT_OURS = {"fcntl", "errno", "__future__"}
"""Of the standard library, beside what the interpreter imports by itself."""
NOT_OF_PATHS = (b"variable", b"inherited")
"""Questions about a name or a number."""


class Start(msgspec.Struct, frozen=True):
    """How a start went: what it said, and what Python imported for it."""

    status: int
    output: str
    said: str
    imported: frozenset[str]
    changed: tuple[str, ...]
    """Why it could not be warm, for whoever reads of a test that failed."""

    @property
    def warm(self) -> bool:
        return "click" not in self.imported


def key_of(folder: Path, *arguments: str) -> list[bytes]:
    """Of a start that this process makes in `folder`."""
    _, _, *identity_and_words = cached_plan.key(["run", *arguments])
    status = folder.stat()
    return [os.fsencode(folder), b"%d:%d" % (status.st_dev, status.st_ino), *identity_and_words]


def changed_facts(folder: Path, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The questions of the kept plan that have another answer now."""
    entry = cached_plan.read(key_of(folder, *arguments))
    if entry is None:
        return ("no plan is kept",)
    facts = zip(entry.facts[::3], entry.facts[1::3], entry.facts[2::3], strict=True)
    return tuple(
        f"{os.fsdecode(question)} {os.fsdecode(path)}: {found!r}, now {now!r}"
        for question, path, found in facts
        if question not in (*NOT_OF_PATHS, b"alone")
        if (now := fact.answer(question, os.path.join(os.fsencode(folder), path))) != found
    )


def run(
    folder: Path, *arguments: str, before: tuple[str, ...] = (), command: Sequence[str] = (COMMAND,), **environment: str
) -> Start:
    variables = {**ENVIRONMENT, **environment}
    command = [*before, *command, "run", *arguments]
    changed = changed_facts(folder, arguments)
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    times: list[str] = []
    rest: list[str] = []
    for line in ended.stderr.splitlines():
        (times if line.startswith("import time:") else rest).append(line)
    imported = frozenset(line.split()[-1] for line in times)
    return Start(ended.returncode, ended.stdout, "\n".join(rest), imported, changed)


@pytest.fixture
def folder(tmp_path):
    """A profile of `cat` that was kept by a first start."""
    (tmp_path / "first").write_text("one\n")
    (tmp_path / "second").write_text("two\n")
    (tmp_path / "link").symlink_to("first")
    traced = [COMMAND, "trace", "--name", "cat", "--", "/bin/cat", str(tmp_path / "link")]
    done = subprocess.run(traced, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    assert not run(tmp_path).warm
    return tmp_path


def test_a_warm_start_needs_no_python(folder):
    start = run(folder)
    assert (start.imported, start.output) == (frozenset(), "one\n")


def test_python_starts_from_it_too_and_imports_next_to_nothing(folder):
    bare = subprocess.run([*IN_PYTHON[:3], "-c", ""], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    interpreter = {line.split()[-1] for line in bare.stderr.splitlines()}
    start = run(folder, command=IN_PYTHON)
    assert start.imported - interpreter == IMPORTED | NOT_OURS
    assert start.output == "one\n"


@pytest.mark.parametrize("settled", [{}, {"PYTHONCOERCECLOCALE": "0"}])
def test_without_a_locale_nothing_is_added_to_the_environment(tmp_path, settled):
    """Python would add LC_CTYPE to its own, which cron(8) and containers leave without any."""
    variables = {"PATH": "/usr/bin:/bin", **settled}
    expected = "".join(f"{name}={value}\n" for name, value in variables.items())
    for command in (("trace", "--name", "env", "--", "/usr/bin/env"), ("run",), ("run",)):
        started = [COMMAND, *command]
        ended = subprocess.run(started, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert (ended.returncode, sorted(ended.stdout.splitlines())) == (0, sorted(expected.splitlines()))
    traced = subprocess.run(
        [COMMAND, "run"],
        cwd=tmp_path,
        env={**variables, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        check=True,
    )
    assert traced.stderr == b""


def test_it_starts_by_a_link_and_through_the_path(tmp_path):
    (tmp_path / "harden").symlink_to(COMMAND)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    shown = subprocess.run(["harden", "--version"], env=variables, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("harden, version ")


def test_without_its_python_part_it_says_so(tmp_path):
    shutil.copy(COMMAND, tmp_path / "harden")
    ended = subprocess.run([tmp_path / "harden", "run"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert ended.stderr == (
        f"harden: {tmp_path}/harden-python: No such file or directory\n"
        "hint: this is harden's Python part: install harden again\n"
    )


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
    command = f"{COMMAND} run 2>&1"
    script = f"{command}; echo again; {command}; mount -t tmpfs none /mnt; echo mounted; {command}"
    shown = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    first, again, after = re.split("again\n|mounted\n", shown)
    assert ["import time:" in part for part in (first, again, after)] == [True, False, True]


def entry_of(folder: Path) -> Path:
    return Path("/run", cached_plan.FOLDER, cached_plan.name_of(key_of(folder)))


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


def let_the_group_write(entry: Path) -> None:
    entry.chmod(0o620)


def give_away(entry: Path) -> None:
    os.chown(entry, NOBODY, NOBODY)


def link_elsewhere(entry: Path) -> None:
    entry.rename(entry.with_name("copy"))
    entry.symlink_to("copy")


@pytest.mark.parametrize("change", [let_the_group_write, give_away, link_elsewhere], ids=lambda change: change.__name__)
def test_an_entry_that_others_could_have_written_is_ignored(folder, change):
    entry = entry_of(folder)
    assert run(folder).warm
    change(entry)
    assert not run(folder).warm
    entry.with_name("copy").unlink(missing_ok=True)
    assert run(folder).warm
    assert (entry.stat().st_mode & 0o777, entry.parent.stat().st_mode & 0o777) == (0o600, 0o700)
