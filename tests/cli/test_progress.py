"""What is shown while a program is recorded."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

from harden.cli.progress import describe_progress, watching
from harden.trace.progress import Progress
from tests.e2e.jobs import HARDEN, environment

NOW = Progress(calls=5000, tasks=3, new=40, last="openat /etc/hosts", last_s=1.0, lost=0)


@pytest.mark.parametrize(
    ("changes", "rate", "text"),
    [
        ({}, 12345.0, "7 s: 3 tasks, 12.3k calls/s, 40 distinct (last 2 s ago: openat /etc/hosts)"),
        ({"tasks": 1, "last": "", "new": 0}, 0.0, "7 s: 1 task, 0 calls/s, 0 distinct"),
        ({"last": "", "lost": 9}, 2.5e6, "7 s: 3 tasks, 2.5M calls/s, 40 distinct, 9 lost"),
    ],
)
def test_one_line_says_it_all(changes, rate, text):
    now = msgspec.structs.replace(NOW, **changes)
    assert describe_progress(now, elapsed_s=7.2, calls_per_s=rate, since_new_s=2.0) == text


def test_in_a_pipe_there_are_plain_lines(capfd):
    seen = threading.Event()
    looks: list[None] = []

    def look() -> Progress:
        looks.append(None)
        if len(looks) == 3:
            seen.set()
        return NOW

    with watching(look, line_s=0.001):
        assert seen.wait(60)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("harden: 0 s: 3 tasks, ") and "\x1b" not in line for line in lines)


@pytest.mark.requires("root", "bpf", "cgroup2", "overlay", "idmap")
def test_on_a_terminal_that_the_program_does_not_write_to_there_is_one_line_that_changes(tmp_path: Path):
    ours, theirs = os.openpty()
    argv = [str(HARDEN), "trace", "--name", "app", "--", "/bin/sh", "-c", "read go"]
    with subprocess.Popen(
        argv, cwd=tmp_path, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while b" distinct" not in shown:
            shown += os.read(ours, 4096)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        while b"next: harden run" not in shown:
            shown += os.read(ours, 4096)
        assert process.wait(60) == 0
    os.close(ours)
    assert b"\x1b[2K" in shown
    assert b"1 task, " in shown
