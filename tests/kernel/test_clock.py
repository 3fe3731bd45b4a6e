"""The clock of the kernel's tracing programs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harden.kernel.clock import kernel_monotonic_ns, parse_monotonic_offset

OFFSETS = "monotonic           {}         {}\nboottime            7         0\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OFFSETS.format(0, 0), 0),
        (OFFSETS.format(1000, 5), 1_000_000_000_005),
        (OFFSETS.format(-3, 500_000_000), -2_500_000_000),
        ("", 0),
    ],
)
def test_the_offset_of_the_clock_is_read(text, expected):
    assert parse_monotonic_offset(text) == expected


@pytest.mark.requires("root", "time-namespace")
def test_in_a_time_namespace_it_is_the_clock_outside():
    code = "import time; from harden.kernel.clock import *; print(time.monotonic_ns(), kernel_monotonic_ns())"
    command = ["unshare", "--time", "--fork", "--monotonic", "100000", sys.executable, "-c", code]
    before = kernel_monotonic_ns()
    own, outside = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert before <= outside <= kernel_monotonic_ns()
    assert own - outside == pytest.approx(100_000 * 10**9, abs=10**9)
