"""What a sandbox gets besides its view, rights and namespaces: limits, extra mounts, groups, descriptors."""

from __future__ import annotations

import msgspec

from harden.model.limit import Limits, Rlimit
from harden.model.resource_limit import LimitName

__all__ = ["Isolation", "OverlayMount", "TmpfsMount"]


class TmpfsMount(msgspec.Struct, frozen=True, kw_only=True):
    """An empty memory file system at `target` inside; `size` in bytes, None: an eighth of the memory."""

    target: bytes
    size: int | None = None


class OverlayMount(msgspec.Struct, frozen=True, kw_only=True):
    """A copy-on-write view of the host's folder `lower` at `target` inside; what is written is gone at the end."""

    lower: bytes
    target: bytes


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line asks for. Profiles keep it as `StoredIsolation`, but for what belongs to one start."""

    limits: Limits = Limits()
    rlimits: tuple[Rlimit, ...] = ()
    groups: tuple[int, ...] = ()
    """Supplementary groups inside, beside the primary one."""
    tmpfs: tuple[TmpfsMount, ...] = ()
    overlays: tuple[OverlayMount, ...] = ()
    rootfs: bytes | None = None
    """Folder of the host that holds the root file system to use instead of the host's."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors beside 0, 1 and 2 that the program inherits under the same numbers."""
    die_with_parent: bool = False
    """Whether the sandbox ends when the process that started harden does."""

    def given_limits(self) -> frozenset[LimitName]:
        """Those of a profile's limits that are given here, and then come before it."""
        given = {
            LimitName.MEMORY: self.limits.memory is not None,
            LimitName.PIDS: self.limits.pids is not None,
            LimitName.NOFILE: any(limit.name == LimitName.NOFILE for limit in self.rlimits),
        }
        return frozenset(name for name, is_given in given.items() if is_given)
