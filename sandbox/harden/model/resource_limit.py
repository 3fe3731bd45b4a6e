"""The limits that a profile sets on the resources of a program, and the peaks that they are learned from, by name."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Final

from harden.model.control import Control

__all__ = ["LIMIT_BOUNDS", "LIMIT_CONTROLS", "LimitName", "LimitValue", "PeakName", "parse_limit", "render_limit"]


class LimitName(enum.StrEnum):
    """What is limited. There is none of CPU time: what a program used of it is a sum, which grows with its work and
    with the slowness of the machine, and no peak that tells what it will need.
    """

    MEMORY = "memory"
    """Bytes that all processes use together (memory.max of cgroup v2)."""
    PIDS = "pids"
    """Processes and threads that live at once (pids.max of cgroup v2); the sandbox's init does not count."""
    NOFILE = "nofile"
    """One more than the highest descriptor that a process may have (RLIMIT_NOFILE of setrlimit(2))."""


class PeakName(enum.StrEnum):
    """Keys of `Run.peaks` that limits are learned from.

    Older recordings have `memory_bytes`, which does not say what counted it: nothing is learned from that.
    """

    MEMORY_CGROUP = "memory_cgroup_bytes"
    """memory.peak of the cgroup: anonymous memory, files in the page cache, tmpfs and kernel memory."""
    MEMORY_TREE = "memory_tree_bytes"
    """Resident memory of the processes, looked at every so often (`harden.launch.memory_watch`), or what the largest
    of them had at most. Neither tmpfs nor kernel memory is in it."""
    PIDS = "pids"
    OPEN_FILES = "open_files"
    """The highest descriptor that a process had, plus 1."""
    OPEN_FILES_ASKED = "open_files_asked"
    """The highest soft RLIMIT_NOFILE that a process set itself; not where it only took all of the hard one."""


LIMIT_CONTROLS: Final[Mapping[LimitName, Control]] = {
    LimitName.MEMORY: Control.MEMORY,
    LimitName.PIDS: Control.PIDS,
    LimitName.NOFILE: Control.RLIMITS,
}
"""The control that enforces each."""

LimitValue = int | str
"""As files write it: a number, or for memory also one with K, M, G or T (powers of 1024) behind it."""

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT])", re.ASCII)
_UNITS: Final = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10}
LIMIT_BOUNDS: Final[Mapping[LimitName, tuple[int, int]]] = {
    # Less than this and not even the loader runs; more than the other and the kernel has no number for it.
    LimitName.MEMORY: (1 << 20, 1 << 62),
    LimitName.PIDS: (1, 4194303),
    LimitName.NOFILE: (4, 1 << 30),
}
"""The least and the most of each: PID_MAX_LIMIT for pids, the largest fs.nr_open for nofile."""


def parse_limit(name: LimitName, value: LimitValue) -> int:
    """The number that `value` stands for; ValueError for what is none, or none for this limit."""
    number = value if isinstance(value, int) else _parse_size(name, value)
    least, most = LIMIT_BOUNDS[name]
    if not least <= number <= most:
        raise ValueError(f"limit {name} {value!r}: expected {least} to {most}")
    return number


def _parse_size(name: LimitName, text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None or name is not LimitName.MEMORY:
        wanted = 'a size such as "512M"' if name is LimitName.MEMORY else "a number"
        raise ValueError(f"limit {name} {text!r}: expected {wanted}")
    return int(match[1]) * _UNITS[match[2]]


def render_limit(name: LimitName, number: int) -> LimitValue:
    """The value as a profile writes it: memory in the largest unit that gives a whole number."""
    if name is LimitName.MEMORY:
        for letter, unit in _UNITS.items():
            if number % unit == 0:
                return f"{number // unit}{letter}"
    return number
