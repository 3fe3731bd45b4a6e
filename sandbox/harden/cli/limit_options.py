"""Values of the options that limit a sandbox: sizes, processors, disks, devices, rlimits."""

from __future__ import annotations

import math
import os
import re
import resource
from collections.abc import Iterable
from typing import Final

from harden.errors import UsageError
from harden.kernel.device import device_rule, disk_of
from harden.model.limit import RLIMIT_NAMES, DeviceRule, IoLimit, Limits, Rlimit

__all__ = [
    "parse_cpus",
    "parse_cpuset",
    "parse_device",
    "parse_io",
    "parse_limits",
    "parse_pids",
    "parse_rlimit",
    "parse_size",
]

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT]?)", re.ASCII | re.IGNORECASE)
_MOST_BYTES: Final = 2**63 - 1
"""The kernel counts bytes in loff_t."""
_FACTOR: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_RATES: Final = ("rbps", "wbps", "riops", "wiops")
_LEAST_CPUS: Final = 0.01
"""The kernel takes no quota below 1 ms of its period of 100 ms (cpu.max)."""
_MOST_CPUS: Final = 8192
_MOST_PIDS: Final = 4194303
_INFINITY: Final = 2**64 - 1


def parse_size(option: str, text: str) -> int:
    """Bytes, from a number with K, M, G or T (powers of 1024) behind it."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{option} {text!r}: expected bytes, or a number with K, M, G or T", hint="such as 512M")
    size = int(match[1]) * _FACTOR[match[2].upper()]
    if size > _MOST_BYTES:
        raise UsageError(
            f"{option} {text!r}: more than {_MOST_BYTES} bytes, the most there can be", hint="such as 512M"
        )
    return size


def _pages(option: str, text: str | None, *, least: int) -> int | None:
    """A size as the kernel stores it: in whole pages."""
    if text is None:
        return None
    page = resource.getpagesize()
    size = parse_size(option, text) // page * page
    if size < least * page:
        raise UsageError(f"{option} {text!r}: less than {least} page of {page} bytes", hint=f"such as {option} 64M")
    return size


def parse_cpus(number: float | None) -> float | None:
    """Processors' worth of time."""
    if number is not None and not (math.isfinite(number) and _LEAST_CPUS <= number <= _MOST_CPUS):
        raise UsageError(f"--cpus {number}: expected {_LEAST_CPUS} to {_MOST_CPUS}", hint="0.5 is half a processor")
    return number


def parse_pids(number: int | None) -> int | None:
    """Processes and threads of the program; the sandbox's init is one more, and does not count for it."""
    if number is None:
        return None
    if not 1 <= number <= _MOST_PIDS:
        raise UsageError(f"--pids {number}: expected 1 to {_MOST_PIDS}")
    return number + 1


def parse_cpuset(text: str | None) -> str:
    """A list of processors such as 0-3,8, as the kernel writes it: sorted, in the fewest ranges."""
    if text is None:
        return ""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UsageError(f"--cpuset {text!r}: expected processors by number, such as 0-3,8")
        found |= set(range(first, last + 1))
    ranges: list[list[int]] = []
    for number in sorted(found):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def parse_io(text: str) -> IoLimit:
    """DEVICE:rbps=…,wbps=…,riops=…,wiops=…; each limit may be left out, one has to be there."""
    path, _, words = text.rpartition(":")
    rates: dict[str, int] = {}
    for word in words.split(","):
        name, equals, value = word.partition("=")
        if not path or name not in _RATES or not equals or name in rates:
            raise UsageError(
                f"--io {text!r}: expected DEVICE:rbps=N,wbps=N,riops=N,wiops=N", hint="such as /dev/sda:wbps=10M"
            )
        rates[name] = parse_size("--io", value)
        if rates[name] == 0:
            raise UsageError(f"--io {text!r}: {name}=0 would stop the program for ever", hint="give at least 1")
    major, minor = disk_of("--io", path)
    return IoLimit(major=major, minor=minor, path=os.fsencode(os.path.abspath(path)), **rates)


def parse_device(text: str) -> DeviceRule:
    """PATH[:rwm] of a device node of the host: read, write, make (mknod); rw when it is left out."""
    path, colon, access = text.rpartition(":")
    if not colon or not access or set(access) - set("rwm"):
        path, access = text, "rw"
    return device_rule(f"--device {text!r}", path, access)


def _rlimit_value(text: str, option: str) -> int:
    return _INFINITY if text in ("unlimited", "infinity") else parse_size(option, text)


def parse_rlimit(text: str) -> Rlimit:
    """NAME=SOFT[:HARD], names and units of setrlimit(2); HARD is SOFT when it is left out."""
    name, equals, values = text.partition("=")
    name = name.lower().removeprefix("rlimit_")
    if not equals or name not in RLIMIT_NAMES:
        raise UsageError(
            f"--rlimit {text!r}: expected NAME=SOFT[:HARD]", hint=f"NAME is one of {', '.join(sorted(RLIMIT_NAMES))}"
        )
    first, colon, second = values.partition(":")
    soft = _rlimit_value(first, f"--rlimit {name}")
    hard = _rlimit_value(second, f"--rlimit {name}") if colon else soft
    if soft > hard:
        raise UsageError(f"--rlimit {text!r}: the soft limit is above the hard one", hint=f"--rlimit {name}={first}")
    return Rlimit(name=name, resource=getattr(resource, f"RLIMIT_{name.upper()}"), soft=soft, hard=hard)


def parse_limits(
    *,
    cpus: float | None,
    memory: str | None,
    memory_high: str | None,
    swap: str | None,
    pids: int | None,
    io: Iterable[str],
    cpuset: str | None,
    device: Iterable[str],
) -> Limits:
    """All limits of the cgroup; UsageError for the first that is not one."""
    disks = tuple(parse_io(text) for text in io)
    if len({(limit.major, limit.minor) for limit in disks}) < len(disks):
        raise UsageError("--io names one disk twice", hint="give all its limits in one --io")
    return Limits(
        cpus=parse_cpus(cpus),
        memory=_pages("--memory", memory, least=1),
        memory_high=_pages("--memory-high", memory_high, least=1),
        swap=_pages("--swap", swap, least=0),
        pids=parse_pids(pids),
        io=disks,
        cpuset=parse_cpuset(cpuset),
        devices=tuple(parse_device(text) for text in device),
    )
