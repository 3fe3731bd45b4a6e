"""A program that mounts: Landlock lets nobody do so, and every command says that it is Landlock."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "cgroup2", "landlock", "seccomp", "overlay", "idmap")

PROGRAM = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10020000) == 0, os.strerror(ctypes.get_errno())
if libc.mount(b"none", b"data", b"tmpfs", 0, None) != 0:
    raise SystemExit(os.strerror(ctypes.get_errno()))
"""


@pytest.fixture
def traced() -> Iterator[Path]:
    """A folder with the recording of a program that mounted something in a namespace of its own."""
    folder = Path(tempfile.mkdtemp(prefix="harden-mounts-", dir="/var/tmp"))
    (folder / "data").mkdir()
    (folder / "job.py").write_text(PROGRAM)
    harden("trace", "--name", "app", "--", "/usr/bin/python3", "job.py", cwd=folder)
    yield folder
    shutil.rmtree(folder)


def test_that_landlock_refuses_mounts_is_said(traced: Path) -> None:
    said = "mount is refused with EPERM while landlock is in force"
    assert said in (traced / "app.profile.toml").read_text()
    assert said in harden("explain", "app.profile.toml", "mount", cwd=traced).stdout
    done = harden("run", cwd=traced, check=False)
    assert (done.returncode, "Operation not permitted" in done.stderr) == (1, True)
    done = harden("verify", "--json", cwd=traced, check=False)
    (denial,) = json.loads(done.stdout)["denials"]
    assert (denial["control"], denial["call"], denial["rule"]) == ("landlock", "mount", [])
    assert 'landlock = "off"' in denial["advice"]


def test_without_landlock_it_mounts(traced: Path) -> None:
    """As the note says, which explain then leaves out."""
    (traced / "app.local.toml").write_text('format = "harden-local/1"\n[controls]\nlandlock = "off"\n')
    harden("run", cwd=traced)
    assert "is refused" not in harden("explain", "app.profile.toml", "mount", cwd=traced).stdout
