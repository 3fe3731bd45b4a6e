"""What `trace` was given beyond the profile, as settings of a service: systemd.exec(5), systemd.resource-control(5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.model.path_text import from_text
from harden.model.profile import Profile
from harden.render.asked_limits import UNLIMITED, rlimits_of
from harden.render.quoted import Quoted
from harden.render.systemd_files import Setting
from harden.render.systemd_word import path_word

__all__ = ["ISOLATION", "asked_settings"]

ISOLATION: Final = frozenset(
    {"cpus", "cpuset", "devices", "groups", "io", "memory", "memory_high", "pids", "rlimits", "swap", "tmpfs"}
)
_DISK_KEYS: Final = {
    "rbps": "IOReadBandwidthMax",
    "wbps": "IOWriteBandwidthMax",
    "riops": "IOReadIOPSMax",
    "wiops": "IOWriteIOPSMax",
}


def asked_settings(profile: Profile, warnings: list[str]) -> Iterator[Setting]:
    """All but the limits that profiles have too."""
    isolation = profile.workload.isolation
    if isolation.cpus is not None:
        yield "CPUQuota", Quoted(f"{isolation.cpus * 100:.2f}%")
    if isolation.cpuset:
        yield "AllowedCPUs", Quoted(isolation.cpuset)
    for key, value in (("MemoryHigh", isolation.memory_high), ("MemorySwapMax", isolation.swap)):
        if value is not None:
            yield key, Quoted(str(value))
    for name, soft, hard in rlimits_of(profile, core=False):
        yield f"Limit{name.upper()}", Quoted(f"{_most(soft)}:{_most(hard)}")
    if isolation.groups:
        yield "SupplementaryGroups", Quoted(" ".join(map(str, isolation.groups)))
    for disk in isolation.io:
        word = _word(disk.path, f"--io {disk.path}", warnings)
        for field, key in _DISK_KEYS.items():
            rate = getattr(disk, field)
            if word and rate is not None:
                yield key, Quoted(f"{word} {rate}")
    for device in isolation.devices:
        word = _word(device.path, f"--device {device.path}", warnings)
        if word:
            yield "DeviceAllow", Quoted(f"{word} {device.access}")
    for mount in isolation.tmpfs:
        word = _word(mount.target, f"--tmpfs {mount.target}", warnings, has_options=True)
        if word:
            size = "" if mount.size is None else f",size={mount.size}"
            yield "TemporaryFileSystem", Quoted(f'{word[:-1]}:mode=1777{size}"')


def _word(text: str, option: str, warnings: list[str], *, has_options: bool = False) -> str | None:
    """`has_options`: they come after a colon, and a backslash would be taken away with them."""
    path = from_text(text)
    word = path_word(path, separates_colons=has_options)
    if word is None or (has_options and b"\\" in path):
        warnings.append(f"{option}: left out, a unit file cannot hold that path")
        return None
    # Nothing of these may be missing: the leading `-` would let it.
    return f'"{word[2:]}'


def _most(value: int) -> str:
    return "infinity" if value == UNLIMITED else str(value)
