"""The README's session is run as it stands: every `$` line works, and prints what the page says it prints.

In the page `…` stands for whatever changes from machine to machine.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def sessions() -> list[list[tuple[str, list[str]]]]:
    """Each ```console block as its commands with the lines they print."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    found = []
    for block in blocks:
        steps: list[tuple[str, list[str]]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif steps:
                steps[-1][1].append(line)
        found.append(steps)
    return found


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether `printed` is what `shown` says: `…` alone stands for any lines, in a line for any characters."""
    if not shown:
        return not printed
    if shown[0] == "…":
        return any(matches(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    if not printed or not re.fullmatch(re.escape(shown[0]).replace("…", ".*"), printed[0]):
        return False
    return matches(shown[1:], printed[1:])


@pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "sqlite3")
def test_session_works_and_prints_what_the_page_shows(tmp_path: Path) -> None:
    steps = [step for session in sessions() for step in session]
    assert len(steps) >= 4
    environment = {**os.environ, "PATH": f"{ROOT}/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    for command, shown in steps:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            text=True,
            timeout=100,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        assert matches(shown, done.stdout.splitlines()), f"$ {command}\n{done.stdout}"


def test_every_command_is_in_the_page() -> None:
    from harden.cli import COMMANDS

    for name in COMMANDS:
        assert f"`harden {name}" in README
