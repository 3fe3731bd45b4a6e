"""Copy-on-write layers: overlays whose upper folders lie in memory. Documentation/filesystems/overlayfs.rst."""

from __future__ import annotations

import os

from harden.launch.ops import Code, Flag, op
from harden.launch.tree import SAFE, Tree, text

__all__ = ["Layer", "overlay", "overlay_problem", "stage_layers"]


class Layer:
    """One overlay: its name in the staging area (`u` + name is the upper folder) and where the host shows it."""

    __slots__ = ("name", "point")

    def __init__(self, name: str, point: bytes) -> None:
        self.name = name
        self.point = point


def stage_layers(tree: Tree) -> None:
    """Memory that takes what is written into overlays: at most a quarter of the host's. Made once.

    For an ordinary user it is attached on top of "/", and would be cloned with it: everything of "/" comes before.
    """
    if tree.has_staging:
        return
    tree.has_staging = True
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    tree.add(
        op(
            tree.source_stage,
            Code.STAGING,
            f"make a staging area of {size >> 20} MiB in memory for what the program changes",
            numbers=(size,),
            flags=Flag.OWN_NAMESPACE if tree.features.root else Flag.NONE,
        )
    )


def overlay(tree: Tree, lower: int, name: str, what: bytes) -> int:
    """An overlay over the piece in slot `lower`, which is used up; its own slot. `name` is that of its layers."""
    slot = tree.slot()
    tree.add(
        op(
            tree.source_stage,
            Code.OVERLAY,
            f"put a copy-on-write overlay over {text(what)}",
            strings=(name.encode(),),
            slots=(lower, slot),
            numbers=(SAFE,),
            flags=Flag.NONE if tree.features.root else Flag.USER_XATTR,
        )
    )
    return slot


def overlay_problem(tree: Tree, path: bytes) -> str:
    """Why the mount that holds `path` cannot be the lower layer of an overlay; empty when it can."""
    mount = tree.mount_of(path)
    if mount is None:
        return "it is on no mount that can be seen"
    if not tree.features.root:
        if not tree.features.works("user-overlay"):
            return f"an ordinary user cannot make an overlay here: {tree.features.detail('user-overlay')}"
        inner = tree.submounts(path)
        return f"{text(inner[0].point)} is mounted below it, and only root can take the two apart" if inner else ""
    problem = tree.features.overlay.get(mount.point, 22)
    if problem == 0 and tree.shifted:
        problem = tree.features.idmap.get(mount.point, 22)
    where = f"{text(mount.point)} ({text(mount.filesystem)})"
    return f"{where} cannot be the lower layer of an overlay ({os.strerror(problem)})" if problem else ""
