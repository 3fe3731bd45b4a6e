"""A program that does what a file says, so that a rerun of the same command does other things than were recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import compile_victim
from tests.e2e.jobs import harden

__all__ = ["Wishes"]

_CONTROLS = 'format = "harden-local/1"\n[controls]\napparmor = "off"\nmemory = "off"\npids = "off"\n'


class Wishes:
    """The files of one profile `app` in a folder of its own, and what the program is to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.local = folder / "app.local.toml"

    def wish(self, *lines: str) -> None:
        """What the program does from now on."""
        (self.folder / "wishes").write_text("".join(f"{line}\n" for line in lines))

    def trace(self, *lines: str, options: tuple[str, ...] = ()) -> None:
        """Record the program doing `lines`; everything that is preferred and not here is off."""
        self.wish(*lines)
        program = str(compile_victim("wish"))
        done = harden("trace", "--name", "app", *options, "--", program, "wishes", cwd=self.folder, check=False)
        assert done.returncode != 125, done.stderr
        self.local.write_text(_CONTROLS)

    def harden(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command on the profile, whatever its status."""
        return harden(command, "-p", "app.profile.toml", *arguments, cwd=self.folder, check=False)

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of `harden verify`."""
        done = self.harden("verify", "--json", *arguments)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)
