"""Programs whose profiles travel between kernels: traced on one, run on the other, in the same folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harden.folder import ProfileFiles
from harden.model.profile import Profile
from tests.conftest import compile_victim
from tests.e2e.jobs import PYTHON, harden

__all__ = ["PORTABLE", "Portable", "run_portable", "trace_portable"]

WORK: Final = Path("/var/lib/harden-portable")
STATIC_VICTIM: Final = "static_files"


@dataclass(frozen=True, kw_only=True)
class Portable:
    """A program, what it prints, and the file that it leaves behind."""

    command: tuple[str, ...]
    prints: str
    leaves: str = ""


PORTABLE: Final = {
    "sqlite3": Portable(
        command=("sqlite3", "notes.db", "create table note(t); insert into note values('one'); select t from note"),
        prints="one\n",
        leaves="notes.db",
    ),
    "python3": Portable(command=PYTHON.command, prints='{"slept": "yes"}\n'),
    "static": Portable(command=(STATIC_VICTIM, "/etc/passwd", "."), prints="done\n", leaves="copy"),
}


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """The same path on every kernel, and empty: the profile names it."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def trace_portable(name: str, store: Path) -> Profile:
    """Trace it here and keep its profile in `store`."""
    program = PORTABLE[name]
    with _folder(name) as folder:
        command = [
            str(compile_victim(word, static=True)) if word == STATIC_VICTIM else word for word in program.command
        ]
        done = harden("trace", "--name", "app", "--", *command, cwd=folder)
        assert done.stdout == program.prints
        store.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "app.profile.toml", store / f"{name}.profile.toml")
    return load_portable(name, store)


def load_portable(name: str, store: Path) -> Profile:
    """The profile that `store` keeps."""
    return ProfileFiles.of_profile(store / f"{name}.profile.toml").load_profile(trust=True)


def run_portable(name: str, store: Path) -> None:
    """Run the program here under the profile in `store`: it must do all it did, and nothing may be refused to it."""
    program = PORTABLE[name]
    before = _denials()
    with _folder(name) as folder:
        shutil.copy(store / f"{name}.profile.toml", folder / "app.profile.toml")
        os.chown(folder / "app.profile.toml", os.geteuid(), os.getegid())
        done = harden("run", cwd=folder)
        assert done.stdout == program.prints
        assert not program.leaves or (folder / program.leaves).exists()
    refused = set(_denials()) - set(before)
    assert not refused, f"refused by AppArmor: {refused}"


def _denials() -> list[str]:
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return [line for line in log.splitlines() if 'apparmor="DENIED"' in line and "harden.app." in line]
