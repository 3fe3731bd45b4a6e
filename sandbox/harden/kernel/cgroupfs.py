"""cgroup v2 folders: cgroups(7), Documentation/admin-guide/cgroup-v2.rst."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

import msgspec

from harden.errors import KernelError
from harden.kernel.mountinfo import Mount

__all__ = ["Cgroup", "make_cgroup", "own_cgroup"]


class Cgroup(msgspec.Struct, kw_only=True):
    """The cgroups of one sandbox: `harden-XXXX` with `payload` (recorded) and `helper` (scenario commands)."""

    base: bytes
    name: str
    base_fd: int
    payload_fd: int
    helper_fd: int
    """-1: made without a place for helpers."""

    @property
    def payload_id(self) -> int:
        """The number by which BPF programs know the payload's cgroup: its inode number on 64-bit hosts."""
        return os.fstat(self.payload_fd).st_ino

    def kill(self) -> None:
        """Kill everything in it; does nothing where the kernel has no cgroup.kill (before Linux 5.14)."""
        for descriptor in (self.payload_fd, self.helper_fd):
            if descriptor < 0:
                continue
            with contextlib.suppress(FileNotFoundError):
                kill = os.open("cgroup.kill", os.O_WRONLY | os.O_CLOEXEC, dir_fd=descriptor)
                try:
                    os.write(kill, b"1")
                finally:
                    os.close(kill)

    def remove(self) -> None:
        """Remove the folders, waiting up to 2 s for killed processes to leave; raises KernelError if they stay."""
        for leaf in (f"{self.name}/payload", f"{self.name}/helper", self.name):
            self._remove_one(leaf)

    def _remove_one(self, leaf: str) -> None:
        deadline = time.monotonic() + 2
        while True:
            try:
                os.rmdir(leaf, dir_fd=self.base_fd)
            except FileNotFoundError:
                return
            except OSError as error:
                # EBUSY for a moment after the last process was reaped; the kernel offers nothing to wait for.
                if time.monotonic() > deadline:
                    path = f"{os.fsdecode(self.base)}/{leaf}"
                    raise KernelError(f'rmdir("{path}")', error.errno or 0, hint=f"remove {path} by hand") from None
                time.sleep(0.001)
            else:
                return

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in (self.payload_fd, self.helper_fd, self.base_fd):
            if descriptor >= 0:
                os.close(descriptor)


def own_cgroup(mounts: tuple[Mount, ...]) -> bytes | None:
    """Folder of this process's cgroup in the v2 hierarchy; None when there is no v2 mount that shows it."""
    try:
        lines = Path("/proc/self/cgroup").read_bytes().splitlines()
    except OSError:
        return None
    own = next((line[3:] for line in lines if line.startswith(b"0::")), None)
    if own is None:
        return None
    for mount in mounts:
        if mount.filesystem != b"cgroup2":
            continue
        root = mount.root.rstrip(b"/")
        below = own[len(root) :]
        # Seen from a cgroup namespace, a cgroup outside of it begins with "/..": below a mount of that namespace it
        # would name a folder that is no cgroup at all.
        if (own == root or own.startswith(root + b"/")) and b".." not in below.split(b"/"):
            path = (mount.point.rstrip(b"/") + below).rstrip(b"/")
            if os.path.isdir(path):
                return path
    return None


def make_cgroup(base: bytes, *, helper: bool = True) -> Cgroup:
    """Make `harden-XXXX` with its leaves below `base`; raises KernelError."""
    name = f"harden-{secrets.token_hex(6)}"
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    call = f'open("{os.fsdecode(base)}")'
    try:
        base_fd = os.open(base, flags)
        for leaf in (name, f"{name}/payload", *([f"{name}/helper"] if helper else [])):
            call = f'mkdir("{os.fsdecode(base)}/{leaf}", 0755)'
            os.mkdir(leaf, 0o755, dir_fd=base_fd)
        payload_fd = os.open(f"{name}/payload", flags, dir_fd=base_fd)
        helper_fd = os.open(f"{name}/helper", flags, dir_fd=base_fd) if helper else -1
    except OSError as error:
        raise KernelError(call, error.errno or 0, hint="see `harden doctor`: the cgroup must be writable") from None
    return Cgroup(base=base, name=name, base_fd=base_fd, payload_fd=payload_fd, helper_fd=helper_fd)
