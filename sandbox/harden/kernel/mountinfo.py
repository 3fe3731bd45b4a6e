"""The mount table of this process: proc_pid_mountinfo(5)."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from harden.errors import KernelError

__all__ = ["Mount", "parse_mountinfo", "read_mounts", "visible_mounts"]


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """One mount: `point` is where, `root` the folder of the file system that is shown there."""

    mount_id: int
    parent_id: int
    root: bytes
    point: bytes
    options: frozenset[bytes]
    filesystem: bytes
    super_options: frozenset[bytes]

    @property
    def read_only(self) -> bool:
        """Read-only as a mount or as a file system."""
        return b"ro" in self.options or b"ro" in self.super_options


def _unescape(field: bytes) -> bytes:
    if b"\\" not in field:
        return field
    parts = field.split(b"\\")
    return parts[0] + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in parts[1:])


def parse_mountinfo(text: bytes) -> tuple[Mount, ...]:
    """Parse the lines of /proc/PID/mountinfo, in their order: later mounts lie on top of earlier ones."""
    mounts = []
    for line in text.splitlines():
        left, _, right = line.partition(b" - ")
        mount_id, parent_id, _device, root, point, options, *_optional = left.split(b" ")
        filesystem, _source, super_options = right.split(b" ", 2)
        mounts.append(
            Mount(
                mount_id=int(mount_id),
                parent_id=int(parent_id),
                root=_unescape(root),
                point=_unescape(point),
                options=frozenset(options.split(b",")),
                filesystem=filesystem,
                super_options=frozenset(super_options.split(b",")),
            )
        )
    return tuple(mounts)


def read_mounts() -> tuple[Mount, ...]:
    """The mounts of this process; raises KernelError without /proc."""
    try:
        return parse_mountinfo(Path("/proc/self/mountinfo").read_bytes())
    except OSError as error:
        raise KernelError(
            'open("/proc/self/mountinfo", O_RDONLY)', error.errno or 0, hint="mount a procfs at /proc"
        ) from None


def _mount_id_at(path: bytes) -> int | None:
    """Number of the mount that is seen at `path`, None if it cannot be reached."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    finally:
        os.close(descriptor)
    return None


def visible_mounts(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Those that a path lookup reaches at their mount point: not covered by another mount there or above."""
    return tuple(mount for mount in mounts if _mount_id_at(mount.point) == mount.mount_id)
