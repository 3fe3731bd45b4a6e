"""Kept plans of an ordinary user: in /run/user/UID only, where no profile lets a program write."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.test_plan_cache import COMMAND, ENVIRONMENT, IN_PYTHON
from tests.sandboxes import NOBODY, python

pytestmark = pytest.mark.requires("root", "nobody", "userns", "seccomp", "seccomp-notify")

BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
RUNTIME = f"/run/user/{NOBODY}"
PLANNED = "planned"
FRONT = "bin/harden"
"""The command, which leaves to what says PLANNED what it does not start itself."""
START = ("run", "-p", "cat.profile.toml")
ENTRY = f"""
import os, sys
from harden.launch import cached_plan, fact
home, made, *facts = sys.argv[1:]
os.chdir(home)
os.umask(0o077)
entry = cached_plan.Entry()
entry.key = cached_plan.key({START!r})
entry.program, entry.plan = b"/bin/echo", b"planted"
for path in map(os.fsencode, facts):
    entry.facts += [b"stat", path, fact.answer(b"stat", path)]
os.makedirs(made + "/harden/plans")
with open(made + "/harden/plans/" + cached_plan.name_of(entry.key), "wb") as file:
    file.write(cached_plan.encode_entry(entry))
"""
"""Makes an entry that starts echo with what harden-exec gets: the plan's descriptor and the parent's number."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of nobody's with the profile of `cat one`."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        home = Path(name)
        (home / "one").write_text("one\n")
        for part in ("bin", "wide", "made"):
            (home / part).mkdir()
        for path in (home, *home.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        shutil.copy(COMMAND, home / FRONT)
        (home / "bin/harden-python").write_text(f"#!/bin/sh\necho {PLANNED}\n")
        (home / "bin/harden-python").chmod(0o755)
        harden(home, "trace", "--name", "cat", "--", "/bin/cat", f"{home}/one")
        yield home


def harden(home: Path, *arguments: str) -> None:
    """By setpriv(1) the interpreter is opened while it may be, wherever it lies."""
    command = [*BECOME, *IN_PYTHON, *arguments]
    ended = subprocess.run(command, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def plant(home: Path, made: str, *facts: str) -> None:
    ended = python(ENTRY, str(home), f"{home}/{made}", *facts, uid=NOBODY)
    assert ended.returncode == 0, ended.stderr


def starts(home: Path, *runtimes: str, first: str = "true") -> list[tuple[str, str]]:
    """Of starts with each $XDG_RUNTIME_DIR, by Python and then by the command: what was said, or PLANNED.

    In one mount namespace with a /run/user as logind makes it.
    """
    become = shlex.join(BECOME)
    turns = "".join(
        f"XDG_RUNTIME_DIR={runtime} {become} {front} {shlex.join(START)} 2>&1; echo -- END --;"
        for runtime in runtimes
        for front in (shlex.join(IN_PYTHON), FRONT)
    )
    script = f"""
        mount -t tmpfs none /run/user
        install -d -m 700 -o {NOBODY} -g {NOBODY} {RUNTIME}
        {first}
        {turns}"""
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script],
        cwd=home,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [part.splitlines() for part in ended.stdout.split("-- END --\n")[:-1]]
    said = [PLANNED if any(line.split()[-1:] == ["click"] for line in part) else part[-1] for part in lines]
    return list(zip(said[::2], said[1::2], strict=True))


def test_a_plan_is_kept_in_the_folder_of_logind(home: Path) -> None:
    assert starts(home, RUNTIME, RUNTIME) == [(PLANNED, "one"), ("one", "one")]


@pytest.mark.parametrize("runtime", ["wide", f"{RUNTIME}/", f"/run/user/../user/{NOBODY}", "/run", ""])
def test_and_nowhere_else(home: Path, runtime: str) -> None:
    path = str(home / runtime) if runtime == "wide" else runtime
    assert starts(home, RUNTIME, path, path, RUNTIME) == [
        (PLANNED, "one"), (PLANNED, PLANNED), (PLANNED, PLANNED), ("one", "one"),
    ]  # fmt: skip
    assert not list((home / "wide").iterdir())


def test_what_a_program_wrote_elsewhere_is_not_carried_out(home: Path) -> None:
    """Its profile lets it write there, and one day $XDG_RUNTIME_DIR names the place."""
    plant(home, "made", "/")
    harden(home, "trace", "--name", "cp", "--bind", f"{home}/wide:rw", "--", "/bin/cp", "-r", "made/harden", "wide")
    shutil.rmtree(home / "wide/harden")
    harden(home, "run", "-p", "cp.profile.toml")
    assert len(list((home / "wide/harden/plans").iterdir())) == 1
    assert starts(home, str(home / "wide")) == [(PLANNED, PLANNED)]
    (own,) = starts(home, RUNTIME, first=f"cp -a wide/harden {RUNTIME}")
    assert all(said.replace(" ", "").isdigit() for said in own)


def test_a_plan_that_depends_on_nothing_is_none(home: Path) -> None:
    plant(home, "wide")
    assert starts(home, RUNTIME, first=f"cp -a wide/harden {RUNTIME}") == [(PLANNED, "one")]
