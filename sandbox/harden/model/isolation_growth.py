"""Where a stored isolation lets a program reach or use more than another: every option that is a right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.model.risk import Risk
from harden.model.stored_isolation import StoredIsolation, StoredRlimit
from harden.model.workload import Workload

__all__ = ["Growth", "isolation_growth"]

Growth = tuple[str, str, Risk]
"""The right, the field of the file that it stands in, and how much it is."""

_UNCOVERED: Final = Risk(6, "what it covered is the host's again, to which the file rights then apply")
_LIMIT: Final = Risk(3, "more of the host's resources, which others then lack")
_CORE: Final = Risk(4, "core files are written with the host's pattern, outside of the sandbox")
_VALUES: Final = ("cpus", "memory", "memory_high", "swap", "pids")
_RATES: Final = ("rbps", "wbps", "riops", "wiops")
_UNLIMITED: Final = float("inf")


def isolation_growth(before: Workload, after: Workload) -> Iterator[Growth]:
    """Everything by which `after` isolates less than `before`. A host name is no right."""
    old, new = before.isolation, after.isolation
    yield from _devices(old, new)
    yield from _mounts(before, after)
    yield from _identity(old, new)
    yield from _rlimits(old, new)
    yield from _limits(old, new)


def _devices(old: StoredIsolation, new: StoredIsolation) -> Iterator[Growth]:
    had = {device.path: set(device.access) for device in old.devices}
    for device in new.devices:
        more = set(device.access) - had.get(device.path, set())
        if more:
            letters = "".join(letter for letter in "rwm" if letter in more)
            risk = Risk(8 if more & {"w", "m"} else 6, "a device of the host, and the driver behind it")
            yield f"device {device.path} {letters}", "devices", risk


def _covers(workload: Workload) -> dict[str, str]:
    """What lies over a place of the view, by that place."""
    isolation = workload.isolation
    return {
        **{bind.target: "binds" for bind in workload.binds if bind.source != bind.target},
        **{mount.target: "tmpfs" for mount in isolation.tmpfs},
        **{mount.target: "overlays" for mount in isolation.overlays},
    }


def _mounts(before: Workload, after: Workload) -> Iterator[Growth]:
    old, new = before.isolation, after.isolation
    if old.rootfs != new.rootfs:
        risk = Risk(7, "another root file system: every right is then one on other files")
        yield f"rootfs {new.rootfs}" if new.rootfs else f"rootfs {old.rootfs} gone: the host's own", "rootfs", risk
    for overlay in new.overlays:
        if overlay not in old.overlays:
            yield f"overlay {overlay.lower} at {overlay.target}", "overlays", Risk(4, "shows a part of the host")
    sizes = {mount.target: mount.size or _UNLIMITED for mount in old.tmpfs}
    for mount in new.tmpfs:
        if (mount.size or _UNLIMITED) > sizes.get(mount.target, 0):
            amount = f" of {mount.size} bytes" if mount.size else ""
            yield f"tmpfs {mount.target}{amount}", "tmpfs", Risk(2, "memory that the program may fill")
    shown = {*_covers(after), *(bind.target for bind in after.binds)}
    for target, field in sorted(_covers(before).items()):
        if target not in shown:
            yield f"nothing mounted at {target} any more", field, _UNCOVERED


def _identity(old: StoredIsolation, new: StoredIsolation) -> Iterator[Growth]:
    for group in new.groups:
        if group not in old.groups:
            yield f"group {group}", "groups", Risk(5, "the files of another group")


def _hard_and_soft(limit: StoredRlimit | None, name: str) -> tuple[float, float]:
    if limit is None:
        # Without an option core files are off, and the others those of the caller.
        return (0, 0) if name == "core" else (_UNLIMITED, _UNLIMITED)
    hard, soft = (_UNLIMITED if value is None else value for value in (limit.hard, limit.soft))
    return hard, soft


def _rlimits(old: StoredIsolation, new: StoredIsolation) -> Iterator[Growth]:
    had = {limit.name: limit for limit in old.rlimits}
    has = {limit.name: limit for limit in new.rlimits}
    for name in sorted({*had, "core"}):
        was, now = _hard_and_soft(had.get(name), name), _hard_and_soft(has.get(name), name)
        if now[0] > was[0] or now[1] > was[1]:
            text = "unlimited" if now[1] == _UNLIMITED else f"{now[1]:.0f}"
            yield f"rlimit {name} {text}", "rlimits", _CORE if name == "core" else _LIMIT


def _more(name: str, was: float | None, now: float | None, field: str) -> Iterator[Growth]:
    if was is not None and (now is None or now > was):
        yield f"{name} {'without a limit' if now is None else now}, was {was}", field, _LIMIT


def _limits(old: StoredIsolation, new: StoredIsolation) -> Iterator[Growth]:
    for name in _VALUES:
        yield from _more(name, getattr(old, name), getattr(new, name), name)
    if old.cpuset and (not new.cpuset or _processors(new.cpuset) - _processors(old.cpuset)):
        yield f"cpuset {new.cpuset or 'without a limit'}, was {old.cpuset}", "cpuset", _LIMIT
    disks = {disk.path: disk for disk in new.io}
    for disk in old.io:
        now = disks.get(disk.path)
        for rate in _RATES:
            yield from _more(f"io {disk.path} {rate}", getattr(disk, rate), getattr(now, rate, None), "io")


def _processors(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
