"""/proc and /sys are always the sandbox's own, and what tells or changes too much about the host is covered."""

from __future__ import annotations

from typing import Final

from harden.kernel.uapi import MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY
from harden.launch.ops import Code, Flag, Stage, op
from harden.launch.tree import SAFE, Tree
from harden.model.sandbox import NetworkMode

__all__ = ["MASKED", "READ_ONLY", "plan_kernel_folders"]

MASKED: Final = (
    b"/proc/acpi",
    b"/proc/asound",
    b"/proc/interrupts",
    b"/proc/kcore",
    b"/proc/keys",
    b"/proc/latency_stats",
    b"/proc/sched_debug",
    b"/proc/scsi",
    b"/proc/timer_list",
    b"/proc/timer_stats",
    b"/sys/devices/virtual/powercap",
    b"/sys/firmware",
)
"""What OCI runtimes mask by default."""
READ_ONLY: Final = (b"/proc/bus", b"/proc/fs", b"/proc/irq", b"/proc/sys", b"/proc/sysrq-trigger")
"""What OCI runtimes make read-only by default."""


def plan_kernel_folders(tree: Tree, proc: int) -> None:
    """An own /proc (already mounted in slot `proc`) and /sys, both masked as OCI runtimes do."""
    tree.attach(proc, b"/proc")
    if tree.spec.network is NetworkMode.NONE:
        sysfs = tree.slot()
        tree.add(op(Stage.INIT, Code.JOIN_NETWORK, "join the payload's network namespace"))
        tree.add(
            op(
                Stage.INIT,
                Code.SYSFS,
                "mount an own sysfs, read-only",
                slots=(sysfs,),
                numbers=(SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,),
            )
        )
        tree.attach(sysfs, b"/sys")
    else:
        # A sysfs of the host's network namespace can only be mounted by its owner: show the host's.
        slot = tree.slot()
        flags = Flag.NONE if tree.features.root else Flag.RECURSIVE
        tree.add(
            op(
                tree.source_stage,
                Code.CLONE_TREE,
                "clone the mount of /sys",
                strings=(b"/sys",),
                slots=(slot,),
                flags=flags,
            )
        )
        tree.set_attributes(slot, SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, b"/sys", flags)
        tree.attach(slot, b"/sys")
    _masks(tree)


def _masks(tree: Tree) -> None:
    """Cover what tells or changes too much about the host."""
    empty = tree.tmpfs("masks", 4096, 0o555, SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY)
    tree.masks = (empty, tree.device(b"null"))
    for path in MASKED:
        tree.mask(path)
    for path in READ_ONLY:
        tree.read_only(path, Flag.MISSING_OK)
