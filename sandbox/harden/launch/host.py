"""view=host: the host's files, read-only, with a copy-on-write overlay per writable mount; nothing reaches the host."""

from __future__ import annotations

import os

from harden.kernel.mountinfo import Mount
from harden.kernel.probe import trial_paths
from harden.kernel.uapi import MOUNT_ATTR_RDONLY
from harden.launch.extra_mounts import plan_extra_mounts
from harden.launch.kernel_folders import plan_kernel_folders
from harden.launch.layers import Layer, overlay, overlay_problem, stage_layers
from harden.launch.ops import Code, Flag, Stage, op
from harden.launch.tree import OWN, PRIVATE, SAFE, Tree, text
from harden.model.guarded_root import is_beneath

__all__ = ["Layer", "plan_host_view"]


def _overlay(tree: Tree, lower: int, point: bytes, layers: list[Layer]) -> int:
    layer = Layer(str(len(layers)), point)
    layers.append(layer)
    return overlay(tree, lower, layer.name, point)


def _can_overlay(tree: Tree, mount: Mount) -> bool:
    """Writable folders whose file system may be a lower layer, with the sandbox's ids if it has any."""
    if mount.read_only or not os.path.isdir(mount.point):
        return False
    problem = overlay_problem(tree, mount.point)
    if problem:
        tree.notes.append(f"{text(mount.point)} is read-only: {problem}")
    return not problem


def _piece(tree: Tree, mount: Mount, layers: list[Layer]) -> int:
    lower = tree.clone(mount.point, SAFE | MOUNT_ATTR_RDONLY)
    return _overlay(tree, lower, mount.point, layers) if _can_overlay(tree, mount) else lower


def _own_folders(tree: Tree) -> tuple[bytes, ...]:
    """The program's own folder and the working folder, where a private folder would hide them."""
    folders: set[bytes] = set()
    for path in (os.path.dirname(tree.spec.program), tree.spec.cwd):
        resolved = tree.resolve(path)
        if resolved is None or not os.path.isdir(resolved.path):
            continue
        if any(is_beneath(resolved.path, private) for private in PRIVATE):
            folders.add(resolved.path)
    return tuple(sorted(f for f in folders if not any(f != other and is_beneath(f, other) for other in folders)))


def _private_folders(tree: Tree, kept: tuple[bytes, ...]) -> tuple[bytes, ...]:
    for folder in kept:
        if folder in PRIVATE:
            tree.notes.append(f"{text(folder)} is a copy-on-write copy of the host's: the workload is there")
    links = {folder for folder in PRIVATE if os.path.islink(folder)}
    return tuple(folder for folder in PRIVATE if folder not in kept and folder not in links)


def _plan_as_root(tree: Tree, kept: tuple[bytes, ...], layers: list[Layer]) -> None:
    shown = [
        mount
        for mount in sorted(tree.mounts, key=lambda mount: (mount.point.count(b"/"), mount.point))
        if mount.point != b"/"
        and mount.point in trial_paths((mount,))
        and not any(is_beneath(mount.point, hidden) for hidden in (*OWN, *PRIVATE))
    ]
    root = tree.mount_of(b"/")
    if root is None:
        raise AssertionError("every process has a root mount")
    pieces = [(_piece(tree, mount, layers), mount.point) for mount in shown]
    tree.add(op(Stage.INIT, Code.ROOT, "make / of the host the new root", slots=(_piece(tree, root, layers),)))
    for slot, point in pieces:
        tree.attach(slot, point, Flag.NONE)
    tree.private(_private_folders(tree, kept))
    for folder in kept:
        lower = tree.clone(folder, SAFE | MOUNT_ATTR_RDONLY)
        mount = tree.mount_of(folder)
        tree.attach(_overlay(tree, lower, folder, layers) if mount and _can_overlay(tree, mount) else lower, folder)


def _plan_as_user(tree: Tree, kept: tuple[bytes, ...], layers: list[Layer]) -> None:
    """An overlay over / is refused in a user namespace (its submounts are locked): only the working folder gets one."""
    # Before the staging area, which would be cloned with it: it is attached on top of /.
    root = tree.clone(b"/", SAFE | MOUNT_ATTR_RDONLY)
    stage_layers(tree)
    pieces = []
    cwd = tree.resolve(tree.spec.cwd)
    folders = {*kept, *([cwd.path] if cwd is not None and cwd.path not in (b"/", *PRIVATE) else [])}
    for folder in sorted(folders):
        if any(folder != other and is_beneath(folder, other) for other in folders):
            continue
        usable = tree.features.works("user-overlay") and not tree.submounts(folder) and os.access(folder, os.W_OK)
        lower = tree.clone(folder, SAFE | MOUNT_ATTR_RDONLY)
        pieces.append((_overlay(tree, lower, folder, layers) if usable else lower, folder))
    tree.notes.append("as an ordinary user only the working folder is copy-on-write; the rest of the host is read-only")
    tree.add(op(Stage.INIT, Code.ROOT, "make / of the host the new root", slots=(root,)))
    tree.private(_private_folders(tree, kept))
    for slot, folder in pieces:
        tree.attach(slot, folder)


def _link(path: bytes, kept: tuple[bytes, ...]) -> bytes | None:
    """The text of a link of this view: the host's, but for the folders that begin empty."""
    inside = any(is_beneath(path, folder) for folder in kept)
    if not inside and any(path != hidden and is_beneath(path, hidden) for hidden in (*OWN, *PRIVATE)):
        return None
    return os.readlink(path) if os.path.islink(path) else None


def plan_host_view(tree: Tree, proc: int) -> tuple[Layer, ...]:
    """Append the operations of the host view to `tree`; the overlays, for the list of changes."""
    layers: list[Layer] = []
    kept = _own_folders(tree)
    if tree.features.root:
        stage_layers(tree)
        _plan_as_root(tree, kept, layers)
    else:
        _plan_as_user(tree, kept, layers)
    plan_kernel_folders(tree, proc)
    tree.devices()
    plan_extra_mounts(tree, lambda path: _link(path, kept))
    return tuple(layers)
