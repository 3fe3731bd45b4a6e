"""view=minimal: an empty root, /usr and the loader's trees, and beyond that only what the profile names."""

from __future__ import annotations

import os
import stat
from typing import Final

from harden.errors import UsageError
from harden.kernel.uapi import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID
from harden.launch.extra_mounts import plan_extra_mounts
from harden.launch.kernel_folders import plan_kernel_folders
from harden.launch.layers import stage_layers
from harden.launch.ops import Code, Stage, op
from harden.launch.special_files import find_special_files
from harden.launch.symlinks import leads_to_others, lies_in
from harden.launch.tree import OWN, PRIVATE, Tree, text
from harden.model.guarded_root import is_beneath

__all__ = ["plan_minimal_view"]

_BASE: Final = (
    b"/usr",
    b"/bin",
    b"/sbin",
    b"/lib",
    b"/lib32",
    b"/lib64",
    b"/libx32",
    b"/etc/alternatives",
    b"/etc/ld.so.cache",
    b"/etc/ld.so.conf",
    b"/etc/ld.so.conf.d",
)
_ALIASES: Final = (b"/var/run", b"/var/lock")
_ROOT_BYTES: Final = 16 << 20
_NOBODY: Final = 65534
_MOST_MASKS: Final = 256
_SPECIAL: Final = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "FIFO", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


class _Shown:
    """Which host paths are shown where, and the symbolic links that lead to them."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.links: dict[bytes, bytes] = {}
        self.paths: dict[bytes, bool] = {}

    def add(self, path: bytes, *, writable: bool) -> None:
        resolved = self.tree.resolve(path, writable=writable)
        # What is not there yet is made through the links on its way, and what every view has is reached through them.
        links = self.tree.guard.links_to(path) if resolved is None else resolved.links
        self.links.update({link: where for link, where in links if not self._is_own(link)})
        if resolved is None or not self._is_ours_to_show(resolved.path):
            return
        of_others = leads_to_others(path, resolved.path) if writable else ""
        if of_others:
            self.tree.notes.append(of_others)
            return
        kind = _SPECIAL.get(stat.S_IFMT(os.lstat(resolved.path).st_mode))
        if kind is not None:
            self.tree.notes.append(f"{text(resolved.path)} is a {kind} of the host and is not shown; --bind names it")
            return
        self.paths[resolved.path] = self.paths.get(resolved.path, False) or writable

    def _is_own(self, path: bytes) -> bool:
        return any(is_beneath(path, own) for own in OWN)

    def _is_ours_to_show(self, path: bytes) -> bool:
        if path == b"/" or path in PRIVATE:
            return False
        return not self._is_own(path)

    def covering(self, path: bytes) -> bytes | None:
        """The innermost shown path that holds `path`."""
        return max((shown for shown in self.paths if is_beneath(path, shown)), key=len, default=None)

    def needed(self) -> list[tuple[bytes, bool]]:
        """Without what an outer one shows already, outermost first."""
        result: list[tuple[bytes, bool]] = []
        for path in sorted(self.paths, key=lambda path: (path.count(b"/"), path)):
            outer = [writable for shown, writable in result if is_beneath(path, shown)]
            if not outer or (self.paths[path] and not outer[-1]):
                result.append((path, self.paths[path]))
        return result


def _shown(tree: Tree) -> _Shown:
    shown = _Shown(tree)
    for path in (*_BASE, *tree.spec.visible, tree.spec.program):
        shown.add(path, writable=False)
    for path in tree.spec.writable:
        shown.add(path, writable=True)
    for alias in _ALIASES:
        resolved = tree.resolve(alias)
        if resolved is not None:
            shown.links.update(resolved.links)
    return shown


def _plan_folders(tree: Tree, shown: _Shown) -> None:
    """Folders that the traced program made: empty and writable, where nothing of the host is shown.

    What is shown below one has to be attached after it.
    """
    made: list[bytes] = []
    for folder in sorted(tree.spec.folders):
        if folder in PRIVATE or any(is_beneath(folder, own) for own in OWN) or any(is_beneath(folder, m) for m in made):
            continue
        cover = shown.covering(folder)
        if cover is not None:
            if not shown.paths[cover] and not os.path.isdir(folder):
                tree.notes.append(f"{text(folder)} cannot be made: {text(cover)} is shown read-only")
            continue
        if any(is_beneath(folder, private) for private in PRIVATE):
            tree.folder(folder)
            continue
        tree.private((folder,))
        made.append(folder)


def _plan_masks(tree: Tree, shown: list[tuple[bytes, bool]]) -> None:
    """Cover the host's sockets and FIFOs in the folders that are shown: only --bind names them."""
    outer: list[bytes] = [b"/usr"]
    for path, _ in shown:
        if any(is_beneath(path, each) for each in outer) or not os.path.isdir(path):
            continue
        outer.append(path)
        found = find_special_files(path)
        if len(found.files) > _MOST_MASKS:
            raise UsageError(
                f"{text(path)} holds more than {_MOST_MASKS} sockets and FIFOs of the host: too many to cover",
                hint="remove those that nobody uses, or give the program a folder of its own",
            )
        for special, kind in found.files:
            tree.mask(special)
            tree.notes.append(f"{text(special)} is a {kind} of the host and is covered; --bind names it")
        if not found.complete:
            tree.notes.append(f"{text(path)} holds too many files: not all were searched for sockets and FIFOs")


def _plan_links(tree: Tree, links: dict[bytes, bytes]) -> None:
    for link, where in sorted(links.items(), key=lambda item: (item[0].count(b"/"), item[0])):
        tree.symlink(where, link)


def _plan_outlines(tree: Tree, shown: _Shown) -> None:
    """Folders that the program only looks at: a program checks the owner and the mode, and finds nothing else."""
    for folder in sorted(tree.spec.outlines):
        if shown.covering(folder) is not None or any(is_beneath(folder, own) for own in (*OWN, *PRIVATE)):
            continue
        resolved = tree.resolve(folder)
        if resolved is None:
            continue
        status = os.lstat(resolved.path)
        if tree.features.root:
            owner = min(status.st_uid, _NOBODY), min(status.st_gid, _NOBODY)
        else:
            owner = 0, 0
        tree.folder(folder, stat.S_IMODE(status.st_mode), *owner)


def _link(path: bytes, shown: _Shown, links: dict[bytes, bytes]) -> bytes | None:
    """The text of a link of this view: one that was made in it, or one that lies in what is shown."""
    if path in links:
        return links[path]
    return os.readlink(path) if shown.covering(os.path.dirname(path)) and os.path.islink(path) else None


def plan_minimal_view(tree: Tree, proc: int) -> None:
    """Append the operations of the minimal view to `tree`; `proc` is the slot of the new procfs."""
    if tree.spec.isolation.overlays:
        stage_layers(tree)
    root = tree.tmpfs("the root", _ROOT_BYTES, 0o755, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
    tree.add(op(Stage.INIT, Code.ROOT, "make it the new root", slots=(root,)))
    shown = _shown(tree)
    tree.private(tuple(PRIVATE))
    needed = shown.needed()
    links = {link: to for link, to in shown.links.items() if not any(is_beneath(link, path) for path, _ in needed)}
    made = [folder for folder in tree.spec.folders if shown.covering(folder) is None]
    inner = {link: to for link, to in links.items() if lies_in(link, made)}
    _plan_links(tree, {link: to for link, to in links.items() if link not in inner})
    _plan_folders(tree, shown)
    _plan_links(tree, inner)
    for path, writable in needed:
        tree.show(path, path, writable=writable)
    plan_kernel_folders(tree, proc)
    _plan_masks(tree, needed)
    tree.devices()
    _plan_outlines(tree, shown)
    if tree.spec.cwd != b"/" and shown.covering(tree.spec.cwd) is None:
        tree.folder(tree.spec.cwd)
    plan_extra_mounts(tree, lambda path: _link(path, shown, links))
    tree.read_only(b"/")
