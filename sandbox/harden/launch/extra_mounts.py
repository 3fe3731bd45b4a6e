"""What the user adds to a view: --bind, --tmpfs, --overlay, --device.

A place is found in two steps. When the plan is made, the symbolic links of the view that lead to it are followed as the
program would follow them (so that /var/run/x is /run/x), but for those that the program can have made itself. When the
sandbox is built, no part of what came out may be a link (openat2(2), RESOLVE_NO_SYMLINKS): nobody moves a mount point
in between. Missing folders are made, with mode 0755, where the view can be written to. Outer places come first,
whatever the order of the options.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from harden.errors import ControlUnavailable, UsageError
from harden.kernel.probe import trial_paths
from harden.kernel.uapi import MOUNT_ATTR_RDONLY
from harden.launch.layers import overlay, overlay_problem, stage_layers
from harden.launch.ops import Code, Flag, Stage, op
from harden.launch.piece import Piece, moved
from harden.launch.symlinks import follow, lies_in
from harden.launch.tree import OWN, SAFE, Tree, private_bytes, text
from harden.model.control import Control
from harden.model.guarded_root import is_beneath
from harden.model.isolation import OverlayMount
from harden.model.sandbox import View

__all__ = ["check_bind_target", "plan_extra_mounts"]

_ANYBODY: Final = 0o1777


def check_bind_target(target: bytes) -> None:
    """Raises UsageError for what is always the sandbox's own: a mount over it would bring the host's back."""
    path = b"/" + b"/".join(part for part in target.split(b"/") if part not in (b"", b"."))
    if path in (b"/", b"/dev/pts", *OWN) or is_beneath(path, b"/proc"):
        raise UsageError(
            f"a mount at {text(target)}: /, /dev, /dev/pts, /sys and everything in /proc are the sandbox's own",
            hint="choose another path inside",
        )


def _binds(tree: Tree) -> list[Piece]:
    found = []
    for bind in tree.spec.binds:
        source = tree.resolve(bind.source, writable=bind.writable)
        if source is None:
            raise UsageError(
                f"--bind {text(bind.source)}: it does not exist or cannot be reached", hint="name an existing path"
            )
        found += tree.pieces(source.path, bind.target, writable=bind.writable)
    return found


def _tmpfs(tree: Tree) -> list[Piece]:
    return [
        Piece(
            tree.tmpfs(text(mount.target), mount.size or private_bytes(), _ANYBODY, SAFE),
            mount.target,
            Flag.MAKE_FOLDER,
        )
        for mount in tree.spec.isolation.tmpfs
    ]


def _one_overlay(tree: Tree, mount: OverlayMount, number: int) -> list[Piece]:
    """An overlay over the folder and, as root, one over each mount below it."""
    source = tree.resolve(mount.lower)
    if source is None or not os.path.isdir(source.path):
        raise UsageError(f"--overlay {text(mount.lower)}: there is no such folder", hint="name an existing folder")
    points = [source.path]
    if tree.features.root:
        inner = [each for each in tree.submounts(source.path) if not any(is_beneath(each.point, own) for own in OWN)]
        points += [each.point for each in inner if each.point in trial_paths((each,)) and os.path.isdir(each.point)]
    found = []
    for index, point in enumerate(points):
        problem = overlay_problem(tree, point)
        if problem:
            raise ControlUnavailable(
                Control.FILESYSTEM_VIEW.value,
                f"--overlay {text(mount.lower)}: {problem}",
                hint="name a folder on another file system, or one below that has no mounts in it; run harden as root",
            )
        lower = tree.clone(point, SAFE | MOUNT_ATTR_RDONLY)
        slot = overlay(tree, lower, f"o{number}.{index}", point)
        found.append(Piece(slot, moved(point, source.path, mount.target), Flag.MAKE_FOLDER))
    return found


def _overlays(tree: Tree) -> list[Piece]:
    overlays = tree.spec.isolation.overlays
    if not overlays:
        return []
    if not tree.features.root and any(bind.source == b"/" for bind in tree.spec.binds):
        raise UsageError("--bind / together with --overlay needs root", hint="name a folder below / with --bind")
    stage_layers(tree)
    found = []
    for number, mount in enumerate(overlays):
        found += _one_overlay(tree, mount, number)
        tree.notes.append(f"what the program writes to {text(mount.target)} is gone when it ends (--overlay)")
    return found


def _devices(tree: Tree) -> list[Piece]:
    """Device nodes, with the device flag that every other mount lacks.

    As root they are made anew, for the program's own ids: the host's belong to nobody inside. An ordinary user gets the
    host's node, with the host's owner and mode.
    """
    found = []
    for rule in tree.spec.isolation.limits.devices:
        slot = tree.slot()
        if tree.features.root:
            stage_layers(tree)
            step = op(
                Stage.OUTSIDE,
                Code.DEVICE_NODE,
                f"make a node of the device {text(rule.path)} for the program",
                strings=(rule.path,),
                slots=(slot,),
                numbers=(rule.number, tree.spec.uid or 0, tree.spec.gid or 0),
            )
        else:
            words = f"clone the device {text(rule.path)}"
            path, number = (rule.path,), (rule.number,)
            step = op(Stage.INIT, Code.CLONE_TREE, words, strings=path, slots=(slot,), numbers=number)
        tree.add(step)
        found.append(Piece(slot, rule.path, Flag.MAKE_FILE))
    return found


def _written_by_the_program(tree: Tree) -> Iterator[bytes]:
    """Folders of the view that reach the host: a link in them can be the program's own, from an earlier run."""
    if tree.spec.view is View.MINIMAL:
        yield from tree.spec.writable
    yield from (bind.target for bind in tree.spec.binds if bind.writable)


def plan_extra_mounts(tree: Tree, link_at: Callable[[bytes], bytes | None]) -> None:
    """Append what the user added; `link_at` gives the text of the link at a path of the view, or None.

    Raises UsageError for what does not exist, ControlUnavailable for an overlay that this host cannot make.
    """
    pieces = [*_binds(tree), *_tmpfs(tree), *_devices(tree), *_overlays(tree)]
    own = tuple(_written_by_the_program(tree))

    def trusted(path: bytes) -> bytes | None:
        is_programs = tree.guard.is_programs((tree.spec.isolation.rootfs or b"") + path)
        return None if is_programs or lies_in(path, own) else link_at(path)

    placed = [(follow(piece.target, trusted), piece) for piece in pieces]
    shown = {**dict.fromkeys((target for target, _ in placed), None), **_host_paths(tree, trusted)}
    for target, piece in sorted(placed, key=lambda each: each[0].count(b"/")):
        check_bind_target(target)
        _check_missing(target, shown)
        tree.attach(piece.slot, target, piece.flags)


def _host_paths(tree: Tree, link_at: Callable[[bytes], bytes | None]) -> dict[bytes, bytes]:
    """Where in the view the host can be written to, and what is there."""
    found = {}
    for path in tree.spec.writable if tree.spec.view is View.MINIMAL else ():
        inside = tree.resolve_inside(path, writable=True)
        if inside is not None:
            found[moved(inside.path, tree.spec.isolation.rootfs or b"", b"/")] = inside.path
    for bind in tree.spec.binds:
        source = tree.resolve(bind.source, writable=bind.writable) if bind.writable else None
        if source is not None:
            found[follow(bind.target, link_at)] = source.path
    return found


def _check_missing(target: bytes, shown: dict[bytes, bytes | None]) -> None:
    """A mount point that would have to be made on the host is the user's to make. `shown`: places of the view, with
    what of the host is written to there, or None."""
    above = [place for place in shown if place != target and is_beneath(target, place)]
    if not above:
        return
    place = max(above, key=len)
    source = shown[place]
    if source is None:
        return
    path = source + target[len(place.rstrip(b"/")) :]
    if not os.path.lexists(path):
        raise UsageError(
            f"a mount at {text(target)}: {text(path)} of the host is written to there and has no such folder or file",
            hint=f"harden makes nothing on the host: make {text(path)} first",
        )
