"""What was traced once runs again and again: the second run meets what the first one left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

BIND = """
import os, socket
try: os.unlink("control")
except FileNotFoundError: pass
socket.socket(socket.AF_UNIX).bind("control")
print("bound")
"""
REFUSED = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 9)))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """first -> second -> below/third -> ../real/file, and a script whose interpreter is a script."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("linked\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/third").symlink_to("../real/file")
    (tmp_path / "second").symlink_to(tmp_path / "below/third")
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "inner").write_text('#!/bin/sh\necho "script $#"\n')
    (tmp_path / "outer").write_text(f"#!{tmp_path}/inner argument\n")
    for script in ("inner", "outer"):
        (tmp_path / script).chmod(0o755)
    return tmp_path


def again(folder: Path) -> subprocess.CompletedProcess[str]:
    return harden("run", "-p", "job.profile.toml", cwd=folder)


@pytest.mark.parametrize(
    ("command", "output"),
    [
        pytest.param(("sh", "-c", "echo hi > out.txt && cat out.txt"), "hi\n", id="truncated"),
        pytest.param((sys.executable, "-c", BIND), "bound\n", id="bound"),
        pytest.param(("cat", "first"), "linked\n", id="links"),
        pytest.param((sys.executable, "-c", REFUSED), "111\n", id="refused"),
        pytest.param(("sh", "-c", "./outer"), "script 2\n", id="scripts"),
    ],
)
def test_a_traced_program_runs_twice_as_it_did(folder, command, output):
    assert harden("trace", "--name", "job", "--", *command, cwd=folder).stdout == output
    assert [again(folder).stdout for _ in range(2)] == [output, output]


def test_a_program_that_leaves_processes_behind_is_recorded_as_such(folder):
    left = harden("trace", "--name", "job", "--", "sh", "-c", "sleep 600 &", cwd=folder, check=False)
    assert "still running when the program ended" in (folder / "job.recording.json").read_text(), left.stderr
