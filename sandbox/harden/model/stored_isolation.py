"""The options that isolated a program while it was traced, as recordings and profiles store them.

Paths are absolute path text (see `path_text`): places of the host, or of the view for targets. What a device or a disk
is called stands here; which it is, is asked when a sandbox starts.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from harden.model.limit import RLIMIT_NAMES
from harden.model.path_text import check_absolute, from_text

__all__ = [
    "MOST_ID",
    "NO_ISOLATION",
    "StoredDevice",
    "StoredDisk",
    "StoredIsolation",
    "StoredOverlay",
    "StoredRlimit",
    "StoredTmpfs",
]

MOST_ID: Final = 0xFFFE
"""The highest id that a program has inside; the one above it means "leave it" to old calls (setresuid(2))."""

_LONGEST_HOST_NAME: Final = 64
_MOST_PIDS: Final = 4194303
_MOST_CPUS: Final = 8192
_CPUSET: Final = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*", re.ASCII)


def _check_number(name: str, number: float | None, least: float, most: float = float("inf")) -> None:
    if number is not None and not least <= number <= most:
        raise ValueError(f"{name} {number} is not {least} to {most}")


class StoredTmpfs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A `--tmpfs`: `size` in bytes, None: an eighth of the memory of the host that it is on."""

    target: str
    size: int | None = None

    def __post_init__(self) -> None:
        check_absolute("tmpfs", self.target)
        _check_number("the size of a tmpfs", self.size, 1)


class StoredOverlay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An `--overlay`: the host's folder `lower`, copy on write at `target`."""

    lower: str
    target: str

    def __post_init__(self) -> None:
        check_absolute("overlay", self.lower)
        check_absolute("overlay", self.target)


class StoredDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `--device`: its node on the host, and letters of `rwm` (read, write, mknod(2))."""

    path: str
    access: str

    def __post_init__(self) -> None:
        check_absolute("device", self.path)
        if not self.access or set(self.access) - set("rwm") or len(set(self.access)) != len(self.access):
            raise ValueError(f"access {self.access!r} is not made of r, w and m")


class StoredDisk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An `--io`: a path on the host that is a disk, a part of one or a file on it, and what it may do per second."""

    path: str
    rbps: int | None = None
    wbps: int | None = None
    riops: int | None = None
    wiops: int | None = None

    def __post_init__(self) -> None:
        check_absolute("io", self.path)
        rates = (self.rbps, self.wbps, self.riops, self.wiops)
        if all(rate is None for rate in rates):
            raise ValueError(f"io {self.path!r} has no limit")
        for rate in rates:
            _check_number("a limit of io", rate, 1)


class StoredRlimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A `--rlimit`, in the unit of setrlimit(2); None: unlimited."""

    name: str
    soft: int | None = None
    hard: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RLIMIT_NAMES:
            raise ValueError(f"rlimit {self.name!r} is none of {', '.join(sorted(RLIMIT_NAMES))}")
        _check_number("a soft limit", self.soft, 0, 2**64 - 2)
        _check_number("a hard limit", self.hard, 0, 2**64 - 2)
        if self.hard is not None and (self.soft is None or self.soft > self.hard):
            raise ValueError(f"rlimit {self.name}: the soft limit is above the hard one")


class StoredIsolation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`[workload.isolation]`: what `run`, `verify` and `probe` apply as well. Sizes are in bytes.

    Not here: descriptors (`--pass-fd` names those of one caller) and `--timeout`, which ends a recording.
    """

    hostname: str = ""
    """Empty: `harden`."""
    rootfs: str = ""
    groups: tuple[int, ...] = ()
    tmpfs: tuple[StoredTmpfs, ...] = ()
    overlays: tuple[StoredOverlay, ...] = ()
    devices: tuple[StoredDevice, ...] = ()
    rlimits: tuple[StoredRlimit, ...] = ()
    cpus: float | None = None
    memory: int | None = None
    memory_high: int | None = None
    swap: int | None = None
    pids: int | None = None
    """Processes and threads of the program, the sandbox's own not counted."""
    io: tuple[StoredDisk, ...] = ()
    cpuset: str = ""
    """As the kernel writes it: 0-3,8."""

    def __post_init__(self) -> None:
        if len(self.hostname.encode(errors="replace")) > _LONGEST_HOST_NAME or "\0" in self.hostname:
            raise ValueError(f"hostname {self.hostname!r} is longer than {_LONGEST_HOST_NAME} bytes or has a NUL in it")
        if self.rootfs:
            check_absolute("rootfs", self.rootfs)
            if not from_text(self.rootfs).strip(b"/"):
                raise ValueError("rootfs is the host's own root")
        for group in self.groups:
            _check_number("a group", group, 0, MOST_ID)
        _check_number("cpus", self.cpus, 0.01, _MOST_CPUS)
        _check_number("memory", self.memory, 1)
        _check_number("memory_high", self.memory_high, 1)
        _check_number("swap", self.swap, 0)
        _check_number("pids", self.pids, 1, _MOST_PIDS)
        if self.cpuset and not _CPUSET.fullmatch(self.cpuset):
            raise ValueError(f"cpuset {self.cpuset!r} is no list of processors")
        names = [limit.name for limit in self.rlimits]
        if len(set(names)) != len(names):
            raise ValueError("an rlimit is given twice")


NO_ISOLATION: Final = StoredIsolation()
"""The one object that msgspec leaves out of a file: it compares a default by identity."""
