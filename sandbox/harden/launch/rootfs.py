"""--rootfs: another root file system, copy on write; /proc, /sys, /dev, /run and /tmp are still the sandbox's own.

Nothing in it is trusted: a path in it is resolved with it as the root, so that no link leads out; its device nodes and
set-user-id bits have no effect; and a symbolic link where /proc, /sys or /dev belong stops the start.
"""

from __future__ import annotations

import os
from typing import Final

from harden.errors import ControlUnavailable, NotExecutable, ProgramNotFound
from harden.kernel.uapi import MOUNT_ATTR_RDONLY
from harden.launch.extra_mounts import plan_extra_mounts
from harden.launch.kernel_folders import plan_kernel_folders
from harden.launch.layers import Layer, overlay, overlay_problem, stage_layers
from harden.launch.ops import Code, Flag, Stage, op
from harden.launch.piece import moved
from harden.launch.symlinks import leads_to_others, resolve
from harden.launch.tree import OWN, PRIVATE, SAFE, Tree, text
from harden.model.control import Control
from harden.model.guarded_root import is_beneath
from harden.model.sandbox import View

__all__ = ["find_in_root", "host_path", "plan_rootfs_view"]

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def host_path(path: bytes, rootfs: bytes) -> bytes | None:
    """Where the host has the file that is at `path` inside; None when there is none."""
    found = resolve(path, rootfs)
    return None if found is None else rootfs + found.path


def find_in_root(name: str, *, rootfs: bytes, cwd: str, path: str | None) -> str:
    """The absolute path inside of the program `name`, as execvp(3) would find it there.

    Raises ProgramNotFound or NotExecutable.
    """
    folders = [""] if "/" in name else (path or _DEFAULT_PATH).split(":")
    refused = None
    for folder in folders:
        candidate = os.path.normpath(os.path.join(cwd, folder, name))
        found = host_path(os.fsencode(candidate), rootfs)
        if found is None:
            continue
        if os.path.isfile(found) and os.access(found, os.X_OK):
            return candidate
        refused = candidate
    if refused:
        raise NotExecutable(f"{name}: {refused} of {text(rootfs)} is not an executable file", hint="give another")
    raise ProgramNotFound(f"{name}: no such program in {text(rootfs)}", hint="give its path inside, such as /bin/sh")


def _pieces(tree: Tree, rootfs: bytes, layers: list[Layer]) -> list[tuple[int, bytes]]:
    """An overlay over the folder and, as root, one over each mount below it."""
    points = [rootfs]
    if tree.features.root:
        points += [mount.point for mount in tree.submounts(rootfs)]
    found = []
    for point in points:
        inside = moved(point, rootfs, b"/")
        if any(is_beneath(inside, own) for own in (*OWN, *PRIVATE)):
            continue
        problem = overlay_problem(tree, point)
        if problem:
            raise ControlUnavailable(
                Control.FILESYSTEM_VIEW.value,
                f"--rootfs {text(rootfs)}: {problem}",
                hint="keep it on ext4, xfs or btrfs, without mounts below it; run harden as root",
            )
        layer = Layer(str(len(layers)), point)
        layers.append(layer)
        found.append((overlay(tree, tree.clone(point, SAFE | MOUNT_ATTR_RDONLY), layer.name, point), inside))
    return found


def _plan_granted(tree: Tree, rootfs: bytes) -> None:
    """view=minimal: what the profile grants to be written reaches the folder; folders that it made are made again."""
    for path in tree.spec.writable:
        if any(is_beneath(path, own) for own in (*OWN, *PRIVATE)):
            continue
        found = tree.resolve_inside(path, writable=True)
        if found is None:
            continue
        inside = moved(found.path, rootfs, b"/")
        of_others = leads_to_others(path, inside, rootfs)
        if of_others:
            tree.notes.append(of_others)
        else:
            tree.show(found.path, inside, writable=True)
    for folder in tree.spec.folders:
        if not any(is_beneath(folder, own) for own in OWN) and folder not in PRIVATE:
            tree.folder(folder)


def plan_rootfs_view(tree: Tree, proc: int, rootfs: bytes) -> tuple[Layer, ...]:
    """Append the operations of the view to `tree`; the overlays, for the list of changes.

    With view=minimal the program may write only where its profile says so. Raises ControlUnavailable where the kernel
    cannot put an overlay over the folder.
    """
    layers: list[Layer] = []
    stage_layers(tree)
    (root, _), *inner = _pieces(tree, rootfs, layers)
    tree.add(op(Stage.INIT, Code.ROOT, f"make {text(rootfs)} the new root", slots=(root,)))
    for slot, point in inner:
        tree.attach(slot, point, Flag.NONE)
    tree.private(tuple(folder for folder in PRIVATE if not os.path.islink(rootfs + folder)))
    plan_kernel_folders(tree, proc)
    tree.devices()
    if tree.spec.view is View.MINIMAL:
        _plan_granted(tree, rootfs)

    def link_at(path: bytes) -> bytes | None:
        if any(path != hidden and is_beneath(path, hidden) for hidden in (*OWN, *PRIVATE)):
            return None
        return os.readlink(rootfs + path) if os.path.islink(rootfs + path) else None

    plan_extra_mounts(tree, link_at)
    if tree.spec.view is View.MINIMAL:
        tree.read_only(b"/")
    return tuple(layers)
