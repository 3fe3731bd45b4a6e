"""Devices of the host by the paths that people give: mknod(2), Documentation/block/blk-throttle."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from harden.errors import UsageError
from harden.model.limit import DeviceRule

__all__ = ["device_rule", "disk_of"]


def disk_of(option: str, path: str) -> tuple[int, int]:
    """Major and minor number of the whole disk that `path` is, is a partition of, or lies on.

    Only whole disks are limited (blk-throttle). Raises UsageError, which begins with `option`.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise UsageError(f"{option}: stat({path!r}): {error.strerror}", hint="name a disk, such as /dev/sda") from None
    device = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
    folder = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not folder.exists():
        raise UsageError(f"{option}: {path} is on no disk of its own", hint="name a disk, such as /dev/sda")
    if (folder / "partition").exists():
        folder = folder.resolve().parent
    major, minor = (folder / "dev").read_text().strip().split(":")
    return int(major), int(minor)


def device_rule(option: str, path: str, access: str) -> DeviceRule:
    """The device node at `path`, its links followed, with the rights of `access` (letters of rwm).

    Raises UsageError, which begins with `option`.
    """
    path = os.path.realpath(path)
    try:
        status = os.stat(path)
    except OSError as error:
        raise UsageError(f"{option}: stat({path!r}): {error.strerror}") from None
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise UsageError(f"{option}: {path} is not a device", hint="--bind shows files and folders")
    return DeviceRule(
        path=os.fsencode(path),
        character=stat.S_ISCHR(status.st_mode),
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        read="r" in access,
        write="w" in access,
        make="m" in access,
    )
