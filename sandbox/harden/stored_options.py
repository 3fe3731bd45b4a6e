"""The isolation options of a trace as text for its recording and profile, and from there to a sandbox again."""

from __future__ import annotations

import os
import posixpath
import resource
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from harden.errors import UsageError
from harden.kernel.device import device_rule, disk_of
from harden.model.isolation import Isolation, OverlayMount, TmpfsMount
from harden.model.limit import DeviceRule, IoLimit, Limits, Rlimit
from harden.model.path_text import MASK, from_text, to_text
from harden.model.sandbox import Bind
from harden.model.stored_isolation import (
    NO_ISOLATION,
    StoredDevice,
    StoredDisk,
    StoredIsolation,
    StoredOverlay,
    StoredRlimit,
    StoredTmpfs,
)
from harden.model.workload import StoredBind

__all__ = [
    "HOST_NAME",
    "Given",
    "joined_binds",
    "joined_isolation",
    "restored",
    "restored_binds",
    "stored",
    "stored_binds",
]

HOST_NAME: Final = "harden"
"""The host name inside, unless another is asked for."""
_INFINITY: Final = 2**64 - 1
_HINT: Final = "trace again where it exists, or remove it from [workload.isolation] of the profile"

T = TypeVar("T")
M = TypeVar("M", Bind, TmpfsMount, OverlayMount)


def _access(rule: DeviceRule) -> str:
    return "".join(letter for letter, given in zip("rwm", (rule.read, rule.write, rule.make), strict=True) if given)


def _finite(value: int) -> int | None:
    return None if value == _INFINITY else value


def stored(isolation: Isolation, hostname: str | None) -> StoredIsolation:
    """What a profile keeps of `isolation`: all but the descriptors, which belong to one start."""
    limits = isolation.limits
    kept = StoredIsolation(
        hostname=hostname or "",
        rootfs=to_text(isolation.rootfs or b""),
        groups=isolation.groups,
        tmpfs=tuple(StoredTmpfs(target=to_text(each.target), size=each.size) for each in isolation.tmpfs),
        overlays=tuple(
            StoredOverlay(lower=to_text(each.lower), target=to_text(each.target)) for each in isolation.overlays
        ),
        devices=tuple(StoredDevice(path=to_text(each.path), access=_access(each)) for each in limits.devices),
        rlimits=tuple(
            StoredRlimit(name=each.name, soft=_finite(each.soft), hard=_finite(each.hard)) for each in isolation.rlimits
        ),
        cpus=limits.cpus,
        memory=limits.memory,
        memory_high=limits.memory_high,
        swap=limits.swap,
        pids=None if limits.pids is None else limits.pids - 1,
        io=tuple(
            StoredDisk(path=to_text(each.path), rbps=each.rbps, wbps=each.wbps, riops=each.riops, wiops=each.wiops)
            for each in limits.io
        ),
        cpuset=limits.cpuset,
    )
    # A profile without any of them has no such table.
    return NO_ISOLATION if kept == NO_ISOLATION else kept


def _known(option: str, text: str) -> bytes:
    """The path that was stored; UsageError when it was masked, because another one is not what was asked for."""
    if MASK in text:
        raise UsageError(
            f"the stored option {option} {text} was masked when it was recorded",
            hint="remove it from the profile, and give it again",
        )
    return from_text(text)


def _disk(each: StoredDisk) -> IoLimit:
    path = _known("--io", each.path)
    major, minor = disk_of("the stored option --io", os.fsdecode(path))
    return IoLimit(
        major=major, minor=minor, rbps=each.rbps, wbps=each.wbps, riops=each.riops, wiops=each.wiops, path=path
    )


def _rlimit(each: StoredRlimit) -> Rlimit:
    return Rlimit(
        name=each.name,
        resource=getattr(resource, f"RLIMIT_{each.name.upper()}"),
        soft=_INFINITY if each.soft is None else each.soft,
        hard=_INFINITY if each.hard is None else each.hard,
    )


def _check_place(option: str, path: bytes) -> None:
    """It was stored without links: one that is there now can have been made by a program, to be shown another place."""
    if os.path.realpath(path) != os.path.normpath(path):
        raise UsageError(f"the stored option {option}: there is a symbolic link in {os.fsdecode(path)} now", hint=_HINT)


def _device(each: StoredDevice) -> DeviceRule:
    path = _known("--device", each.path)
    _check_place("--device", path)
    return device_rule("the stored option --device", os.fsdecode(path), each.access)


def restored(kept: StoredIsolation) -> Isolation:
    """`kept` for a sandbox of this host; UsageError for a device, a disk or a root that it does not have."""
    rootfs = _known("--rootfs", kept.rootfs) or None
    if rootfs is not None:
        _check_place("--rootfs", rootfs)
        if not os.path.isdir(rootfs):
            raise UsageError(f"the stored option --rootfs: {kept.rootfs} is not a folder", hint=_HINT)
    try:
        disks = tuple(map(_disk, kept.io))
        devices = tuple(map(_device, kept.devices))
    except UsageError as error:
        raise UsageError(error.message, hint=_HINT) from None
    return Isolation(
        limits=Limits(
            cpus=kept.cpus,
            memory=kept.memory,
            memory_high=kept.memory_high,
            swap=kept.swap,
            pids=None if kept.pids is None else kept.pids + 1,
            io=disks,
            cpuset=kept.cpuset,
            devices=devices,
        ),
        rlimits=tuple(map(_rlimit, kept.rlimits)),
        groups=kept.groups,
        tmpfs=tuple(TmpfsMount(target=_known("--tmpfs", each.target), size=each.size) for each in kept.tmpfs),
        overlays=tuple(
            OverlayMount(lower=_known("--overlay", each.lower), target=_known("--overlay", each.target))
            for each in kept.overlays
        ),
        rootfs=rootfs,
    )


def stored_binds(binds: Iterable[Bind]) -> tuple[StoredBind, ...]:
    """What a profile keeps of --bind."""
    return tuple(
        StoredBind(source=to_text(bind.source), target=to_text(bind.target), writable=bind.writable) for bind in binds
    )


def restored_binds(binds: Iterable[StoredBind]) -> tuple[Bind, ...]:
    """And the other way round."""
    return tuple(
        Bind(source=_known("--bind", bind.source), target=_known("--bind", bind.target), writable=bind.writable)
        for bind in binds
    )


def _joined(kept: Iterable[T], given: tuple[T, ...], key: Callable[[T], object]) -> tuple[T, ...]:
    """Both; of two with the same key the one that was given."""
    replaced = {key(each) for each in given}
    return (*(each for each in kept if key(each) not in replaced), *given)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line adds to the stored options."""

    binds: tuple[Bind, ...] = ()
    isolation: Isolation = Isolation()

    def places(self) -> frozenset[bytes]:
        """Where something is mounted: nothing that was stored is mounted there too."""
        targets = [bind.target for bind in self.binds]
        targets += [mount.target for mount in self.isolation.tmpfs]
        targets += [mount.target for mount in self.isolation.overlays]
        return frozenset(map(posixpath.normpath, targets))


def _elsewhere(kept: Iterable[M], places: frozenset[bytes]) -> tuple[M, ...]:
    return tuple(mount for mount in kept if posixpath.normpath(mount.target) not in places)


def joined_binds(kept: tuple[Bind, ...], given: Given) -> tuple[Bind, ...]:
    """Both, but at one place what was given."""
    return (*_elsewhere(kept, given.places()), *given.binds)


def joined_isolation(kept: Isolation, given: Given) -> Isolation:
    """`kept` with what a command line says: a value, and the list of groups, replace; mounts, devices, disks and
    rlimits are added, and replace one of the same place or name.
    """
    replace, said, places = msgspec.structs.replace, given.isolation, given.places()
    values = ("cpus", "memory", "memory_high", "swap", "pids")
    numbers = {name: value for name in values if (value := getattr(said.limits, name)) is not None}
    limits = replace(
        kept.limits,
        **numbers,
        cpuset=said.limits.cpuset or kept.limits.cpuset,
        io=_joined(kept.limits.io, said.limits.io, lambda limit: (limit.major, limit.minor)),
        devices=_joined(kept.limits.devices, said.limits.devices, lambda rule: rule.path),
    )
    return replace(
        said,
        limits=limits,
        rlimits=_joined(kept.rlimits, said.rlimits, lambda limit: limit.name),
        groups=said.groups or kept.groups,
        tmpfs=(*_elsewhere(kept.tmpfs, places), *said.tmpfs),
        overlays=(*_elsewhere(kept.overlays, places), *said.overlays),
        rootfs=kept.rootfs if said.rootfs is None else said.rootfs,
    )
