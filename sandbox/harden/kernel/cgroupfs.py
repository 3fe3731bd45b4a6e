"""cgroup v2 folders: cgroups(7), Documentation/admin-guide/cgroup-v2.rst."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from harden.errors import KernelError
from harden.kernel import cgroup_owner
from harden.kernel.controllers import is_alone
from harden.kernel.mountinfo import Mount
from harden.model.outcome import Usage

__all__ = ["LIMITED", "SUPERVISOR", "Cgroup", "make_cgroup", "own_cgroup"]

SUPERVISOR: Final = "harden-supervisor"
"""Where harden itself lives while its own cgroup passes controllers on."""
LIMITED: Final = "limited"
"""The cgroup that holds the limits; see Cgroup."""


class Cgroup(msgspec.Struct, kw_only=True):
    """The cgroups of one sandbox: `harden-XXXX/limited/payload` (recorded), `harden-XXXX/helper` (scenario commands).

    The limits are in `limited`, one above the root of the payload's cgroup namespace: where the payload could write to
    the files of its own cgroup, those of its limits are still out of its reach.
    """

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
        limited = f"{self.name}/{LIMITED}"
        for leaf in (f"{limited}/payload", limited, f"{self.name}/helper", self.name):
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

    def usage(self) -> Usage:
        """What was used in the payload's cgroup by now; init's own process is not counted. None where unknown."""
        stat = _numbers(self.payload_fd, "../cpu.stat")
        memory = _numbers(self.payload_fd, "../memory.events")
        pids = _numbers(self.payload_fd, "../pids.events")
        pids_peak = _numbers(self.payload_fd, "../pids.peak").get("")
        return Usage(
            cpu_user_s=stat["user_usec"] / 1e6 if "user_usec" in stat else None,
            cpu_system_s=stat["system_usec"] / 1e6 if "system_usec" in stat else None,
            memory_peak_bytes=_numbers(self.payload_fd, "../memory.peak").get(""),
            pids_peak=None if pids_peak is None else max(0, pids_peak - 1),
            oom_events=memory.get("oom"),
            oom_kills=memory.get("oom_kill"),
            forks_refused=pids.get("max"),
        )

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


def _numbers(folder: int, name: str) -> dict[str, int]:
    """The numbers of a file of a cgroup by their keys, "" for a single number; empty where the file is missing."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return {}
    with open(descriptor) as file:
        lines = [line.split() for line in file]
    return {words[0] if len(words) == 2 else "": int(words[-1]) for words in lines if words[-1].isdecimal()}


def _write(name: str, text: str, base_fd: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=base_fd)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _pass_on(base: bytes, base_fd: int, name: str, controllers: Sequence[str]) -> None:
    """Let the cgroup `name`/LIMITED have `controllers`. Raises KernelError, naming the file that refused.

    Below the root only a cgroup without processes passes controllers on: this process, alone in `base`, moves into
    SUPERVISOR beside the sandbox's cgroup. That folder stays behind, for the next one.
    """
    wanted = " ".join(f"+{each}" for each in controllers)
    call = f'write("{os.fsdecode(base)}/cgroup.procs")'
    try:
        if os.path.exists(base + b"/cgroup.type") and is_alone(base) and not _is_empty(base_fd):
            with contextlib.suppress(FileExistsError):
                os.mkdir(SUPERVISOR, 0o755, dir_fd=base_fd)
            _write(f"{SUPERVISOR}/cgroup.procs", str(os.getpid()), base_fd)
        for folder in (".", name):
            call = f'write("{os.fsdecode(base)}/{folder}/cgroup.subtree_control", "{wanted}")'
            _write(f"{folder}/cgroup.subtree_control", wanted, base_fd)
    except OSError as error:
        raise KernelError(
            call, error.errno or 0, hint="run harden in a cgroup of its own: systemd-run --scope -p Delegate=yes -- ..."
        ) from None


def _is_empty(folder: int) -> bool:
    descriptor = os.open("cgroup.procs", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor) as file:
        return not file.read().strip()


def make_cgroup(base: bytes, *, helper: bool = True, controllers: Sequence[str] = ()) -> Cgroup:
    """Make `harden-XXXX` with its folders below `base`; the limited one has these `controllers`. Raises KernelError."""
    name = f"harden-{secrets.token_hex(6)}"
    payload = f"{name}/{LIMITED}/payload"
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    call = f'open("{os.fsdecode(base)}")'
    try:
        base_fd = os.open(base, flags)
        cgroup_owner.remove_stale(base_fd)
        for leaf in (name, f"{name}/{LIMITED}", payload, *([f"{name}/helper"] if helper else [])):
            call = f'mkdir("{os.fsdecode(base)}/{leaf}", 0755)'
            os.mkdir(leaf, 0o755, dir_fd=base_fd)
        payload_fd = os.open(payload, flags, dir_fd=base_fd)
        call = f'setxattr("{os.fsdecode(base)}/{payload}")'
        cgroup_owner.mark(payload_fd)
        helper_fd = os.open(f"{name}/helper", flags, dir_fd=base_fd) if helper else -1
    except OSError as error:
        raise KernelError(call, error.errno or 0, hint="see `harden doctor`: the cgroup must be writable") from None
    cgroup = Cgroup(base=base, name=name, base_fd=base_fd, payload_fd=payload_fd, helper_fd=helper_fd)
    if controllers:
        try:
            _pass_on(base, base_fd, name, controllers)
        except BaseException:
            cgroup.remove()
            cgroup.close()
            raise
    return cgroup
