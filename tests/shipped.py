"""The programs whose profiles come with harden: how each is traced, and in what surroundings."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

__all__ = ["FOLDER", "PROGRAMS", "Program", "copy_for_this_machine", "harden", "surroundings"]

FOLDER: Final = ROOT / "profiles/shipped"
HARDEN: Final = ROOT / ".venv/bin/harden"
WORK: Final = Path("/srv/harden")
"""Where the tools' profiles work: a profile names its folders, so they have to be somewhere."""
USER: Final = 1000
"""Whom the tools run as, inside: nobody profiles git as root."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One shipped profile: the scenarios it is made from, in this order, and the options of `harden trace`."""

    name: str
    scenarios: tuple[str, ...]
    options: tuple[str, ...] = ("--cwd", "/")
    features: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands that make the working folder what the scenarios expect, run in it."""

    @property
    def folder(self) -> Path:
        """Where its scenarios, profile and local file are."""
        return FOLDER / self.name

    @property
    def user(self) -> str:
        """The system user it runs as; empty where it is none."""
        name = self.options[self.options.index("--user") + 1] if "--user" in self.options else ""
        return "" if name.isdecimal() else name

    @property
    def work(self) -> Path:
        """Its working folder, where it has one of its own."""
        return WORK / self.name


def _tool(name: str, scenarios: tuple[str, ...], *, features: tuple[str, ...] = (), **more: object) -> Program:
    options = ("--cwd", str(WORK / name), "--user", str(USER), "--cap-drop", "ALL")
    return Program(name=name, scenarios=scenarios, options=options, features=features, **more)  # type: ignore[arg-type]


_GIT: Final = ("git", "-c", "user.name=harden", "-c", "user.email=harden@localhost")
PROGRAMS: Final = (
    Program(name="nginx", scenarios=("serve", "reload"), features=("nginx", "ab", "curl")),
    Program(
        name="redis",
        scenarios=("use", "append"),
        options=("--cwd", "/", "--user", "redis", "--cap-drop", "ALL"),
        features=("redis",),
    ),
    Program(
        name="memcached",
        scenarios=("use", "idle"),
        options=("--cwd", "/", "--user", "memcache", "--cap-drop", "ALL"),
        features=("memcached",),
    ),
    Program(
        name="postgres",
        scenarios=("use", "manage"),
        options=("--cwd", "/", "--user", "postgres"),
        features=("postgres",),
    ),
    _tool("sqlite3", ("write", "journal"), features=("sqlite3",)),
    _tool("python3", ("network", "files"), features=("python3",)),
    _tool(
        "git",
        ("status", "add", "commit", "log", "diff", "branch", "fsck", "repack", "clone"),
        features=("git",),
        prepare=(
            ("git", "init", "-q", "-b", "main"),
            ("sh", "-c", "echo one > file"),
            ("git", "add", "file"),
            (*_GIT, "commit", "-q", "-m", "one"),
            ("sh", "-c", "echo two > file; echo new > other"),
            (*_GIT, "commit", "-q", "-a", "-m", "two"),
        ),
    ),
    _tool("curl", ("http", "https"), features=("curl", "openssl")),
)


def copy_for_this_machine(program: Program, parent: Path) -> Path:
    """Its folder below `parent`, with the number that this machine gave to its user: packages number as they come."""
    folder = parent / program.name
    shutil.copytree(program.folder, folder)
    if program.user:
        entry = pwd.getpwnam(program.user)
        file = folder / f"{program.name}.profile.toml"
        text = re.sub(r"^uid = [0-9]+$", f"uid = {entry.pw_uid}", file.read_text(), flags=re.MULTILINE)
        file.write_text(re.sub(r"^gid = [0-9]+$", f"gid = {entry.pw_gid}", text, flags=re.MULTILINE))
    return folder


def environment(program: Program) -> dict[str, str]:
    """The environment it is traced in: nothing of the machine that makes the profiles."""
    home = str(program.work) if str(program.work) in program.options else "/nonexistent"
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": home}


def harden(program: Program, *arguments: str, cwd: Path, statuses: tuple[int, ...] = (0,)) -> str:
    """Run the installed command for this program; gives its standard output."""
    done = subprocess.run(
        [str(HARDEN), *arguments],
        cwd=cwd,
        env=environment(program),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in statuses, f"harden {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def surroundings(program: Program) -> Iterator[None]:
    """Its working folder, fresh, and gone again; nothing for a program that has none of its own."""
    if str(program.work) not in program.options:
        yield
        return
    shutil.rmtree(program.work, ignore_errors=True)
    program.work.mkdir(parents=True)
    os.chown(program.work, USER, USER)
    try:
        for command in program.prepare:
            subprocess.run(command, cwd=program.work, env=environment(program), check=True, user=USER, group=USER)
        yield
    finally:
        shutil.rmtree(program.work, ignore_errors=True)
        if not os.listdir(WORK):
            WORK.rmdir()
