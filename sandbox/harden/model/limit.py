"""Limits that the kernel holds a sandbox to: cgroup v2 (cgroups(7), admin-guide/cgroup-v2.rst) and setrlimit(2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from harden.model.control import Control

__all__ = ["RLIMIT_NAMES", "DeviceRule", "IoLimit", "LearnedLimits", "LimitFile", "Limits", "Rlimit"]

RLIMIT_NAMES: Final = frozenset(
    {
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    }
)
"""The limits of setrlimit(2), without RLIMIT_ and in small letters."""

_PERIOD_US = 100_000
"""The kernel's own default period of cpu.max."""


class IoLimit(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What may be read from and written to one disk per second, in bytes and operations; None: no limit."""

    major: int
    minor: int
    rbps: int | None = None
    wbps: int | None = None
    riops: int | None = None
    wiops: int | None = None
    path: bytes = b""
    """How the disk was named."""

    def render(self) -> str:
        """The line of io.max."""
        values = {"rbps": self.rbps, "wbps": self.wbps, "riops": self.riops, "wiops": self.wiops}
        words = [f"{name}={'max' if value is None else value}" for name, value in values.items()]
        return f"{self.major}:{self.minor} {' '.join(words)}"


class DeviceRule(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A device node that may be used: `path` on the host, what it is there, and for what."""

    path: bytes
    character: bool
    major: int
    minor: int
    read: bool = True
    write: bool = True
    make: bool = False
    """mknod(2)."""

    @property
    def number(self) -> int:
        """As makedev(3) makes it on 64-bit hosts, and stat(2) gives it."""
        high = (self.major & ~0xFFF) << 32 | (self.minor & ~0xFF) << 12
        return high | (self.major & 0xFFF) << 8 | self.minor & 0xFF

    @property
    def access(self) -> int:
        """BPF_DEVCG_ACC_* bits of linux/bpf.h."""
        return self.make * 1 | self.read * 2 | self.write * 4


class Rlimit(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One limit of setrlimit(2), in its own unit; RLIM_INFINITY is 2**64 - 1."""

    name: str
    resource: int
    soft: int
    hard: int


class LimitFile(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one file of a cgroup."""

    control: Control
    name: str
    value: str

    @property
    def is_written(self) -> bool:
        """Whether it is set; otherwise it is only compared, because the kernel derives it."""
        return not self.name.endswith(".effective")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a sandbox's cgroup; None and empty: not asked for. Sizes are in bytes."""

    cpus: float | None = None
    """Processors' worth of time: 0.5 is half of one."""
    memory: int | None = None
    memory_high: int | None = None
    """Above it the kernel reclaims and slows down, and ends nothing."""
    swap: int | None = None
    pids: int | None = None
    """Processes and threads, init and the launcher's own steps included."""
    io: tuple[IoLimit, ...] = ()
    cpuset: str = ""
    """Processors by number, as the kernel writes them: 0-3,8."""
    devices: tuple[DeviceRule, ...] = ()

    def files(self) -> Iterator[LimitFile]:
        """What is written into the cgroup, in this order, and what must be read from it afterwards."""
        if self.cpus is not None:
            value = f"{round(self.cpus * _PERIOD_US)} {_PERIOD_US}"
            yield LimitFile(control=Control.CPU, name="cpu.max", value=value)
        for name, size in (
            ("memory.max", self.memory),
            ("memory.high", self.memory_high),
            ("memory.swap.max", self.swap),
        ):
            if size is not None:
                yield LimitFile(control=Control.MEMORY, name=name, value=str(size))
        if self.pids is not None:
            yield LimitFile(control=Control.PIDS, name="pids.max", value=str(self.pids))
        for limit in self.io:
            yield LimitFile(control=Control.IO, name="io.max", value=limit.render())
        if self.cpuset:
            yield LimitFile(control=Control.CPUSET, name="cpuset.cpus", value=self.cpuset)
            yield LimitFile(control=Control.CPUSET, name="cpuset.cpus.effective", value=self.cpuset)

    def controls(self) -> frozenset[Control]:
        """The controls that these limits ask for."""
        asked = {file.control for file in self.files()}
        return frozenset(asked | ({Control.DEVICES} if self.devices else set()))


class LearnedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a profile: preferred unless it says otherwise, and each less than what the command line gives."""

    memory: int | None = None
    """Bytes."""
    pids: int | None = None
    """Processes and threads of the program, init not counted."""
    nofile: int | None = None
    """RLIMIT_NOFILE, soft and hard."""
