"""A stored isolation as the options that it came from, for people."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from harden.model.stored_isolation import NO_ISOLATION, StoredDisk, StoredIsolation

__all__ = ["isolation_options"]

_VALUES: Final = ("cpus", "memory", "memory_high", "swap", "pids", "cpuset", "rootfs", "hostname")


def isolation_options(isolation: StoredIsolation, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Such as `--tmpfs /scratch:1048576`, one option each, not quoted; empty when nothing was asked for.

    `without`: names of fields of which nothing is to be said.
    """
    rest = msgspec.structs.replace(isolation, **{name: getattr(NO_ISOLATION, name) for name in without})
    return tuple(_options(rest))


def _options(isolation: StoredIsolation) -> Iterator[str]:
    for name in _VALUES:
        value = getattr(isolation, name)
        if value not in (None, ""):
            yield f"--{name.replace('_', '-')} {value}"
    for disk in isolation.io:
        yield f"--io {disk.path}:{_rates(disk)}"
    for device in isolation.devices:
        yield f"--device {device.path}:{device.access}"
    for limit in isolation.rlimits:
        yield f"--rlimit {limit.name}={_word(limit.soft)}:{_word(limit.hard)}"
    for mount in isolation.tmpfs:
        yield f"--tmpfs {mount.target}" + (f":{mount.size}" if mount.size else "")
    for overlay in isolation.overlays:
        yield f"--overlay {overlay.lower}:{overlay.target}"
    if isolation.groups:
        yield f"--groups {','.join(map(str, isolation.groups))}"


def _rates(disk: StoredDisk) -> str:
    rates = {"rbps": disk.rbps, "wbps": disk.wbps, "riops": disk.riops, "wiops": disk.wiops}
    return ",".join(f"{name}={value}" for name, value in rates.items() if value is not None)


def _word(value: int | None) -> str:
    return "unlimited" if value is None else str(value)
