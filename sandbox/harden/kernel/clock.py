"""The clock by which the kernel's tracing programs tell when something was."""

from __future__ import annotations

import time
from pathlib import Path

from harden.errors import KernelError

__all__ = ["kernel_monotonic_ns", "parse_monotonic_offset"]


def kernel_monotonic_ns() -> int:
    """What bpf_ktime_get_ns gives now: CLOCK_MONOTONIC in nanoseconds, of the initial time namespace.

    Raises KernelError when the offset of ours cannot be read. time_namespaces(7), bpf-helpers(7).
    """
    path = Path("/proc/self/timens_offsets")
    try:
        offsets = path.read_text()
    except FileNotFoundError:
        # A kernel without time namespaces: there is one clock.
        offsets = ""
    except OSError as error:
        raise KernelError(f"read of {path}", error.errno or 0, hint="mount /proc") from None
    return time.monotonic_ns() - parse_monotonic_offset(offsets)


def parse_monotonic_offset(text: str) -> int:
    """Nanoseconds that CLOCK_MONOTONIC is ahead, from /proc/PID/timens_offsets; 0 where it says nothing."""
    for line in text.splitlines():
        name, seconds, nanoseconds = line.split()
        if name == "monotonic":
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return 0
