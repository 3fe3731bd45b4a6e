"""What a program did through symbolic links that others made works again under its profile."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "landlock", "seccomp", "overlay", "idmap")

_PYTHON = ("/usr/bin/python3", "-c")
_BIND = "import socket; socket.socket(socket.AF_UNIX).bind('app/current/socket')"
THROUGH = {
    "mkdir": ("mkdir", "app/current/made"),
    "mkfifo": ("mkfifo", "app/current/made"),
    "symlink": ("ln", "-s", "to", "app/current/made"),
    "create": ("sh", "-c", "echo a > app/current/made"),
    "create-below": (
        "sh",
        "-c",
        "mkdir app/current/made && echo a > app/current/made/file && rm app/current/made/file",
    ),
    "truncate": (*_PYTHON, "import os; os.truncate('app/file', 1)"),
    "bind": (*_PYTHON, _BIND),
    "mtab": ("cat", "/etc/mtab"),
}


@pytest.fixture(
    params=[
        pytest.param("bpf", marks=pytest.mark.requires("bpf", "cgroup2")),
        pytest.param("notify", marks=pytest.mark.requires("seccomp-notify")),
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def work() -> Iterator[Path]:
    """A release with the usual link to the current one, and a link to a file in it."""
    folder = Path(tempfile.mkdtemp(prefix="harden-links-", dir="/var/tmp"))
    (folder / "work/app/r1").mkdir(parents=True)
    (folder / "work/app/r1/file").write_text("content")
    (folder / "work/app/current").symlink_to("r1")
    (folder / "work/app/file").symlink_to("r1/file")
    yield folder / "work"
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", THROUGH.values(), ids=THROUGH)
def test_what_was_done_through_a_link_is_done_again(command: tuple[str, ...], work: Path, backend: str) -> None:
    harden("trace", f"--backend={backend}", "--out", "../kept", "--name", "app", "--", *command, cwd=work)
    harden("run", "-p", "../kept/app.profile.toml", cwd=work)
    assert sorted(os.listdir(work / "app")) == ["current", "file", "r1"]
    if "made" in " ".join(command):
        assert (work / "app/r1/made").is_symlink() or (work / "app/r1/made").exists()


@pytest.mark.requires("bpf", "cgroup2")
def test_what_a_link_of_the_programs_own_loses_is_landlocks_doing(work: Path) -> None:
    """The program may write to app/r1; the folder in it that it makes another in has become a link since."""
    (work / "app/r1/data").mkdir()
    script = "echo a > app/r1/new; mkdir app/r1/data/made"
    harden("trace", "--out", "../kept", "--name", "app", "--", "sh", "-c", script, cwd=work)
    (work / "app/r1/data").rename(work / "app/r1/other")
    (work / "app/r1/data").symlink_to("other")
    done = harden("verify", "--json", "-p", "../kept/app.profile.toml", cwd=work, check=False)
    (denial,) = json.loads(done.stdout)["denials"]
    assert (denial["control"], denial["call"], denial["result"]) == ("landlock", "mkdir", "EACCES")
    assert "there is a symbolic link in the path" in denial["advice"]


@pytest.mark.requires("bpf", "cgroup2")
def test_and_verifies_clean(work: Path) -> None:
    harden("trace", "--out", "../kept", "--name", "app", "--", *THROUGH["create"], cwd=work)
    done = harden("verify", "-p", "../kept/app.profile.toml", cwd=work, check=False)
    assert "app: nothing was refused" in done.stdout
