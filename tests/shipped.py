"""The programs whose profiles come with harden: how each is traced, and in what surroundings."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

__all__ = ["FOLDER", "PROGRAMS", "Program", "harden", "surroundings"]

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
    stand_in: tuple[str, tuple[str, ...]] | None = None
    """A folder of the machine's own data, and the command that makes one like it in the folder named after it.

    The program sees the made one in its place: a rerun writes for real.
    """

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
        stand_in=("/var/lib/redis", ("test", "-d")),
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
        stand_in=(
            "/var/lib/postgresql/15/main",
            ("/usr/lib/postgresql/15/bin/initdb", "--auth-local=peer", "--no-instructions", "--no-sync", "-D"),
        ),
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


def environment(program: Program) -> dict[str, str]:
    """The environment it is traced in: nothing of the machine that makes the profiles."""
    home = str(program.work) if str(program.work) in program.options else "/nonexistent"
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": home}


def harden(
    program: Program, *arguments: str, cwd: Path, statuses: tuple[int, ...] = (0,), timeout_s: float = 110
) -> str:
    """Run the installed command for this program; gives its standard output."""
    command = [str(HARDEN), *arguments]
    if program.stand_in:
        shown = 'mount --bind "$0" "$1" && shift && exec env -u PWD "$@"'
        command = ["unshare", "--mount", "sh", "-c", shown, str(program.work), program.stand_in[0], *command]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(program),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in statuses, f"harden {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def surroundings(program: Program) -> Iterator[None]:
    """Its working folder, or what stands in for one of the machine's, fresh, and gone again; else nothing."""
    if str(program.work) not in program.options and not program.stand_in:
        yield
        return
    user = pwd.getpwnam(program.user).pw_uid if program.user else USER
    group = pwd.getpwnam(program.user).pw_gid if program.user else USER
    commands = [(*program.stand_in[1], str(program.work))] if program.stand_in else program.prepare
    shutil.rmtree(program.work, ignore_errors=True)
    with _turn():
        program.work.mkdir(parents=True, mode=0o700 if program.stand_in else 0o755)
    os.chown(program.work, user, group)
    try:
        for command in commands:
            done = subprocess.run(
                command,
                cwd=program.work,
                env=environment(program),
                capture_output=True,
                text=True,
                check=False,
                user=user,
                group=group,
                extra_groups=(),
            )
            assert done.returncode == 0, done.stdout + done.stderr
        yield
    finally:
        shutil.rmtree(program.work, ignore_errors=True)
        with _turn():
            if WORK.exists() and not os.listdir(WORK):
                WORK.rmdir()


@contextmanager
def _turn() -> Iterator[None]:
    """WORK is everybody's: another program's folder may be made in it while it is about to be removed."""
    WORK.parent.mkdir(exist_ok=True)
    above = os.open(WORK.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(above, fcntl.LOCK_EX)
        yield
    finally:
        os.close(above)
