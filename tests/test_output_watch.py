"""What a program writes through harden: passed on, and what happens to the program where that is not possible."""

from __future__ import annotations

import os
import subprocess

import pytest

from harden.errors import KernelError
from harden.output_watch import OutputWatch

TELLER = "while echo line; do :; done 2>/dev/null"
"""Writes until nobody reads."""


def test_text_is_found_and_all_is_passed_on(tmp_path):
    told: list[str] = []
    with open(tmp_path / "out", "wb") as target:
        watch = OutputWatch("ready", target)
        subprocess.run(["/bin/sh", "-c", "printf 're'; printf 'ady\\nmore'"], stdout=watch.writer, check=True)
        watch.settle(told.append)
    assert (watch.found.is_set(), told, (tmp_path / "out").read_text()) == (True, [], "ready\nmore")


def test_a_program_notices_that_nobody_reads_on():
    reader, writer = os.pipe()
    os.close(reader)
    told: list[str] = []
    with open(writer, "wb", buffering=0) as target:
        watch = OutputWatch(None, target)
        with subprocess.Popen(["/bin/sh", "-c", TELLER], stdout=watch.writer) as program:
            watch.close_writer()
            assert program.wait(30) != 0
        watch.settle(told.append)
    assert told == []


@pytest.fixture
def full():
    """A file that nothing can be written to, as on a full disk."""
    with open("/dev/full", "wb", buffering=0) as target:
        yield target


def test_a_full_disk_is_told_and_the_program_goes_on(full):
    told: list[str] = []
    watch = OutputWatch("ready", full)
    script = "head -c 1000000 /dev/zero; echo ready"
    subprocess.run(["/bin/sh", "-c", script], stdout=watch.writer, check=True, timeout=30)
    watch.settle(told.append)
    assert watch.found.is_set()
    assert told == ["what the program wrote could not be passed on: No space left on device"]


def test_what_is_compared_must_be_whole(full):
    watch = OutputWatch(None, full)
    subprocess.run(["/bin/echo", "x"], stdout=watch.writer, check=True)
    with pytest.raises(KernelError, match="ENOSPC"):
        watch.settle_whole()
