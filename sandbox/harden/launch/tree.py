"""The parts that every view of the file system has: own /dev, /proc and /sys, masks, private folders, host trees.

A view is built in init below the new root's descriptor. As root its pieces are cloned outside, where they can be
given the sandbox's id map; as an ordinary user inside init, whose user namespace is the only place to do it.
"""

from __future__ import annotations

import os
from typing import Final

from harden.errors import UsageError
from harden.kernel.features import Features
from harden.kernel.mountinfo import Mount
from harden.kernel.uapi import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY
from harden.launch.ops import Code, Flag, Op, Stage, op
from harden.launch.piece import Piece, moved
from harden.launch.symlinks import LinkGuard, Resolved, resolve, resolve_below
from harden.model.capability import Capability
from harden.model.guarded_root import is_beneath
from harden.model.sandbox import SandboxSpec, UserNamespaceMode, View

__all__ = ["DEVICES", "OWN", "PRIVATE", "SAFE", "Tree", "private_bytes", "text"]

SAFE: Final = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
OWN: Final = (b"/proc", b"/sys", b"/dev")
PRIVATE: Final = {b"/run": 0o755, b"/tmp": 0o1777, b"/var/tmp": 0o1777}
"""Folders that are always the sandbox's own, with their modes; /dev/shm comes with /dev."""
DEVICES: Final = {
    b"null": os.makedev(1, 3),
    b"zero": os.makedev(1, 5),
    b"full": os.makedev(1, 7),
    b"random": os.makedev(1, 8),
    b"urandom": os.makedev(1, 9),
    b"tty": os.makedev(5, 0),
}
"""Name → number: Documentation/admin-guide/devices.txt."""
_LINKS: Final = (
    (b"/proc/self/fd", b"/dev/fd"),
    (b"/proc/self/fd/0", b"/dev/stdin"),
    (b"/proc/self/fd/1", b"/dev/stdout"),
    (b"/proc/self/fd/2", b"/dev/stderr"),
    (b"pts/ptmx", b"/dev/ptmx"),
    (b"tty", b"/dev/console"),
)
_SHM_BYTES: Final = 256 << 20
_MIB: Final = 1 << 20


def text(path: bytes) -> str:
    """A path for people."""
    return os.fsdecode(path)


def private_bytes() -> int:
    """A private folder may fill an eighth of the memory."""
    return max(64 * _MIB, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8)


def _writable(spec: SandboxSpec) -> tuple[bytes, ...]:
    """What of the host is writable for real."""
    named = spec.writable if spec.view is View.MINIMAL else ()
    rootfs = spec.isolation.rootfs
    if rootfs is not None:
        named = tuple(rootfs + path for path in named)
    return (*named, *(bind.source for bind in spec.binds if bind.writable))


def _check_file_capabilities(spec: SandboxSpec, writable: tuple[bytes, ...]) -> None:
    if writable and Capability.CAP_SETFCAP in spec.capabilities:
        raise UsageError(
            f"CAP_SETFCAP together with {text(writable[0])}, which is writable for real: a program with file "
            "capabilities could be left there for the users of the host",
            hint="take CAP_SETFCAP from the profile (or --cap-drop it), or show the path read-only",
        )


class Tree:
    """Collects the operations of one view. Raises UsageError for a spec that would leave file capabilities behind."""

    def __init__(self, spec: SandboxSpec, features: Features, mounts: tuple[Mount, ...]) -> None:
        self.spec = spec
        self.features = features
        self.mounts = mounts
        self.outside: list[Op] = []
        self.inside: list[Op] = []
        self.notes: list[str] = []
        self.shifted = features.root and spec.user_namespace is UserNamespaceMode.SHIFTED
        self.masks: tuple[int, int] = (0, 0)
        """Slots of an empty folder and an empty file that cover what must not be reached."""
        self.shown: list[bytes] = []
        """Where the view has a tree of the host."""
        self._devpts = 0
        self._slots = 0
        self.has_staging = False
        writable = _writable(spec)
        _check_file_capabilities(spec, writable)
        named = spec.writable if spec.view is View.MINIMAL else ()
        self.guard = LinkGuard(named, spec.binds, spec.isolation.rootfs or b"")

    def resolve(self, path: bytes, *, writable: bool = False) -> Resolved | None:
        """Where `path` of the host leads; None when it cannot be reached.

        Raises HardenError for a link that the program itself can have put there (LinkGuard).
        """
        resolved = resolve(path)
        return None if resolved is None else self.guard.check(resolved, writable=writable)

    def resolve_inside(self, path: bytes, *, writable: bool) -> Resolved | None:
        """With --rootfs: where the host has what is at `path` inside; like resolve() otherwise."""
        found = resolve_below(path, self.spec.isolation.rootfs or b"")
        return None if found is None else self.guard.check(found, writable=writable)

    @property
    def source_stage(self) -> Stage:
        """Where trees of the host are cloned."""
        return Stage.OUTSIDE if self.features.root else Stage.INIT

    def slot(self) -> int:
        """A slot for one more piece. Raises UsageError when there are too many."""
        self._slots += 1
        if self._slots >= 1000:
            raise UsageError("more than 1000 mounts are needed", hint="name folders instead of single files")
        return self._slots

    def add(self, step: Op) -> None:
        """Append an operation to the list of its stage."""
        (self.outside if step.stage is Stage.OUTSIDE else self.inside).append(step)

    def mount_of(self, path: bytes) -> Mount | None:
        """The visible mount that `path` lies on."""
        found = [mount for mount in self.mounts if is_beneath(path, mount.point)]
        return max(found, key=lambda mount: len(mount.point), default=None)

    def submounts(self, path: bytes) -> tuple[Mount, ...]:
        """Visible mounts strictly below `path`, outermost first."""
        below = [mount for mount in self.mounts if mount.point != path and is_beneath(mount.point, path)]
        return tuple(sorted(below, key=lambda mount: mount.point.count(b"/")))

    def idmap_flag(self, mount: Mount | None) -> Flag:
        """IDMAP where the file system takes it; a note where it does not."""
        if not self.shifted or mount is None:
            return Flag.NONE
        if self.features.idmap.get(mount.point, 22) == 0:
            return Flag.IDMAP
        note = f"{text(mount.point)} ({text(mount.filesystem)}) cannot be id-mapped: its files belong to nobody"
        if note not in self.notes:
            self.notes.append(note)
        return Flag.NONE

    def clone(self, path: bytes, attributes: int) -> int:
        """Clone the tree at `path` of the host, with the sandbox's id map and these attributes; its slot.

        `path` is resolved already: a link that has come into it since then is refused (RESOLVE_NO_SYMLINKS).
        """
        slot = self.slot()
        recursive = Flag.NONE if self.features.root else Flag.RECURSIVE
        self.add(
            op(
                self.source_stage,
                Code.CLONE_TREE,
                f"clone the mount of {text(path)}",
                strings=(path,),
                slots=(slot,),
                flags=recursive,
                hint=f"{text(path)} must exist, and no part of it may be a symbolic link by now",
            )
        )
        idmap = self.idmap_flag(self.mount_of(path))
        if attributes or idmap:
            self.set_attributes(slot, attributes, path, recursive | idmap)
        return slot

    def set_attributes(self, slot: int, attributes: int, path: bytes, flags: Flag = Flag.NONE) -> None:
        """Set mount attributes of a piece that is not attached yet."""
        words = [
            word
            for bit, word in (
                (MOUNT_ATTR_RDONLY, "read-only"),
                (MOUNT_ATTR_NOSUID, "nosuid"),
                (MOUNT_ATTR_NODEV, "nodev"),
                (MOUNT_ATTR_NOEXEC, "noexec"),
            )
            if attributes & bit
        ]
        words += ["id-mapped"] if flags & Flag.IDMAP else []
        self.add(
            op(
                self.source_stage,
                Code.SET_ATTRIBUTES,
                f"make {text(path)} {', '.join(words)}",
                slots=(slot,),
                numbers=(attributes, 0),
                flags=flags,
            )
        )

    def attach(self, slot: int, target: bytes, flags: Flag = Flag.MAKE_FOLDER) -> None:
        """Attach a piece below the new root."""
        self.add(
            op(
                Stage.INIT,
                Code.ATTACH,
                f"attach {text(target)}",
                strings=(target,),
                slots=(slot,),
                flags=flags,
                hint=f"{text(target)} must be a folder or file of the sandbox's view, or possible to make there",
            )
        )

    def tmpfs(self, what: str, size: int, mode: int, attributes: int) -> int:
        """A new memory file system; its slot."""
        slot = self.slot()
        self.add(
            op(
                Stage.INIT,
                Code.TMPFS,
                f"make a memory file system of {size // _MIB or 1} MiB for {what}",
                slots=(slot,),
                numbers=(size, mode, attributes),
            )
        )
        return slot

    def private(self, folders: tuple[bytes, ...]) -> None:
        """Private, empty folders."""
        for folder in folders:
            self.attach(self.tmpfs(text(folder), private_bytes(), PRIVATE.get(folder, 0o755), SAFE), folder)

    def terminals(self) -> None:
        """Own terminals: mounted before the payload is cloned, which inherits the controlling one from init."""
        self._devpts = self.slot()
        group = 5 + 1 if self.features.root and self.spec.user_namespace is not UserNamespaceMode.HOST else 0
        self.add(
            op(
                Stage.INIT,
                Code.DEVPTS,
                "mount an own devpts; if a standard stream is a terminal, make the sandbox's own in it",
                slots=(self._devpts,),
                numbers=(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, group),
            )
        )

    def devices(self) -> None:
        """An own /dev: the harmless devices, own terminals, own shared memory."""
        # nodev is about devices made here; those below are mounts of their own, with flags of their own.
        self.attach(self.tmpfs("/dev", _MIB, 0o755, SAFE | MOUNT_ATTR_NOEXEC), b"/dev")
        for name in DEVICES:
            device = b"/dev/" + name
            if os.path.lexists(device):
                self.attach(self.device(name), device, Flag.MAKE_FILE)
        for where, link in _LINKS:
            self.symlink(where, link)
        self.attach(self._devpts, b"/dev/pts")
        self.attach(self.tmpfs("/dev/shm", _SHM_BYTES, 0o1777, SAFE), b"/dev/shm")

    def device(self, name: bytes) -> int:
        """A clone of one of the host's harmless devices; its slot. That it is that device is verified when it is made:
        what else lies there would be in the program's reach, or would be what masks are made of."""
        slot = self.slot()
        path = b"/dev/" + name
        self.add(
            op(
                self.source_stage,
                Code.CLONE_TREE,
                f"clone the device {text(path)}",
                strings=(path,),
                slots=(slot,),
                numbers=(DEVICES[name],),
                sentence=f"filesystem-view: cannot clone the device {text(path)}",
                hint=f"{text(path)} of the host must be that device",
            )
        )
        return slot

    def read_only(self, path: bytes, flags: Flag = Flag.NONE) -> None:
        """Make what is below `path` read-only; "/" alone is the root mount without those on it."""
        self.add(op(Stage.INIT, Code.READ_ONLY, f"make {text(path)} read-only", strings=(path,), flags=flags))

    def mask(self, path: bytes) -> None:
        """Cover a file, if it is there, by an empty one."""
        words = f"mask {text(path)}"
        self.add(op(Stage.INIT, Code.MASK, words, strings=(path,), slots=self.masks, flags=Flag.MISSING_OK))

    def symlink(self, where: bytes, link: bytes) -> None:
        """A symbolic link, unless something is there already."""
        words = f"make the link {text(link)} → {text(where)}"
        self.add(op(Stage.INIT, Code.SYMLINK, words, strings=(where, link)))

    def folder(self, path: bytes, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """An empty folder, unless something is there already. The ids are those inside."""
        words = f"make the folder {text(path)}"
        self.add(op(Stage.INIT, Code.FOLDER, words, strings=(path,), numbers=(mode, uid, gid)))

    def pieces(self, source: bytes, target: bytes, *, writable: bool) -> list[Piece]:
        """Clones of a file or folder of the host and of the mounts below it, outermost first."""
        attributes = SAFE | (0 if writable else MOUNT_ATTR_RDONLY)
        kind = Flag.MAKE_FOLDER if os.path.isdir(source) else Flag.MAKE_FILE
        found = [Piece(self.clone(source, attributes), target, kind)]
        if not self.features.root:
            return found
        for mount in self.submounts(source):
            if any(is_beneath(mount.point, own) for own in OWN):
                continue
            read_only = MOUNT_ATTR_RDONLY if mount.read_only else 0
            clone = self.clone(mount.point, attributes | read_only)
            found.append(Piece(clone, moved(mount.point, source, target), Flag.MISSING_OK))
        return found

    def show(self, source: bytes, target: bytes, *, writable: bool) -> None:
        """Show a file or folder of the host, with the mounts below it."""
        self.shown.append(target)
        for piece in self.pieces(source, target, writable=writable):
            self.attach(piece.slot, piece.target, piece.flags)
