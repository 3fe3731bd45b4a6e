"""What is seen of the memory of a sandbox's processes where no controller counts it."""

from __future__ import annotations

import os
import subprocess

import pytest

from harden.kernel.process_memory import resident_bytes
from harden.launch.memory_watch import MemoryWatch
from harden.model.outcome import Outcome, Usage
from harden.model.resource_limit import PeakName
from tests.kernel.recorded import cgroup

MIB = 1 << 20
HOLD = "import sys; b = bytearray(96 << 20); print(flush=True); sys.stdin.read()"


@pytest.mark.requires("root", "cgroup2")
def test_the_memory_of_two_processes_is_added_up():
    with cgroup() as folder, open(folder / "cgroup.procs") as procs, MemoryWatch(None) as nothing:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            assert resident_bytes(descriptor) == 0
            held = [
                subprocess.Popen(
                    ["sh", "-c", f'echo $$ > {folder}/cgroup.procs; exec python3 -c "$1"', "sh", HOLD],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                for _ in range(2)
            ]
            for each in held:
                assert each.stdout is not None
                each.stdout.readline()
            with MemoryWatch(descriptor) as watch:
                assert 192 * MIB < resident_bytes(descriptor) < 256 * MIB
            for each in held:
                each.communicate(timeout=30)
            assert len(procs.read()) == 0
        finally:
            os.close(descriptor)
    assert watch.peak_bytes is not None
    assert 192 * MIB < watch.peak_bytes < 256 * MIB
    assert nothing.peak_bytes is None


def test_what_a_peak_of_memory_was_counted_by_is_in_its_name():
    seen = Outcome(exit_status=0, signal=None, usage=Usage(memory_largest_bytes=7, memory_tree_bytes=5))
    assert seen.usage.peaks() == {PeakName.MEMORY_TREE: 7}
    assert Usage(memory_peak_bytes=3, memory_largest_bytes=7, memory_tree_bytes=5).peaks() == {
        PeakName.MEMORY_CGROUP: 3
    }
    assert Usage(memory_largest_bytes=7).peaks() == {}
