"""`harden check` called in this process, in a folder of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from harden.cli import main
from harden.model.profile import Profile
from harden.render.profile_toml import render_profile


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Gate:
    """A folder with profiles, and the command."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capfd = capfd

    def write(self, name: str, content: Profile | str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Profile):
            content = render_profile(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def check(self, *arguments: str) -> Done:
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["check", *arguments])
        out, err = self._capfd.readouterr()
        assert isinstance(caught.value.code, int)
        return Done(caught.value.code, out, err)

    def unusable(self, *arguments: str) -> str:
        """The one line (and perhaps a hint) of a check that could not judge."""
        before = self.tree()
        done = self.check(*arguments)
        assert (done.status, done.out) == (2, ""), done
        lines = done.err.rstrip("\n").split("\n")
        assert lines[0].startswith("harden: ")
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), done.err
        assert self.tree() == before, "something was written"
        return lines[0].removeprefix("harden: ")

    def tree(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
        command: Sequence[str] = ("git", *identity, *arguments)
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def commit(self, message: str = "x") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
