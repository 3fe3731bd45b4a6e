"""What a program changed in its copy-on-write layers: Documentation/filesystems/overlayfs.rst.

The layers hold files that the program made as it liked: nothing here follows a symbolic link, and every step is taken
from the descriptor of the folder above.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from harden.errors import KernelError
from harden.launch.layer_walk import FOLDER, LONGEST_PATH, LayerWalk
from harden.model.outcome import Change, ChangeKind
from harden.model.path_text import to_text

__all__ = ["ChangeList", "list_changes"]

_MOST_CHANGES: Final = 200_000

_TYPES: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_OPAQUE: Final = ("trusted.overlay.opaque", "user.overlay.opaque")


def _type(status: os.stat_result) -> str:
    return _TYPES.get(stat.S_IFMT(status.st_mode), "file")


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(folder: int) -> bool:
    for name in _OPAQUE:
        with contextlib.suppress(OSError):
            if os.getxattr(f"/proc/self/fd/{folder}", name) == b"y":
                return True
    return False


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _removed_below(host: bytes, upper: int) -> Iterator[Change]:
    """Everything of the host's folder that an opaque folder hides and does not hold itself."""
    try:
        names = os.listdir(host)
    except OSError:
        return
    here = {os.fsencode(name) for name in os.listdir(upper)}
    for name in names:
        if name not in here:
            path = host.rstrip(b"/") + b"/" + name
            status = _lstat(path)
            yield Change(path=to_text(path), kind=ChangeKind.REMOVED, file_type=_type(status) if status else "file")


def _modified(upper: os.stat_result, host: os.stat_result, first_id: int, *, folder: bool) -> bool:
    """A folder is copied up whenever something in it changes: it counts only if it is different itself."""
    if not folder:
        return True
    owner = (upper.st_uid - first_id, upper.st_gid - first_id)
    return upper.st_mode != host.st_mode or owner != (host.st_uid, host.st_gid)


def _compare(
    status: os.stat_result, path: bytes, before: os.stat_result | None, *, ignored: frozenset[bytes], first_id: int
) -> Change | None:
    shown = to_text(path)
    if _is_whiteout(status):
        return None if before is None else Change(path=shown, kind=ChangeKind.REMOVED, file_type=_type(before))
    if path in ignored:
        return None
    if before is None:
        return Change(path=shown, kind=ChangeKind.CREATED, file_type=_type(status))
    folder = stat.S_ISDIR(status.st_mode)
    if _type(before) != _type(status) or _modified(status, before, first_id, folder=folder):
        return Change(path=shown, kind=ChangeKind.MODIFIED, file_type=_type(status))
    return None


def _walk(upper: int, host: bytes, ignored: frozenset[bytes], first_id: int, skipped: list[bytes]) -> Iterator[Change]:
    """The folder at `host` and what is in it. Program-made folders can be nested without end: a loop, no recursion."""
    walk = LayerWalk(upper, host)
    try:
        for name, path, status in walk:
            before = _lstat(path)
            change = _compare(status, path, before, ignored=ignored, first_id=first_id)
            if change is not None:
                yield change
            if not stat.S_ISDIR(status.st_mode):
                continue
            if len(path) >= LONGEST_PATH:
                skipped.append(path)
                continue
            walk.descend(name, path)
            if before is not None and stat.S_ISDIR(before.st_mode) and _is_opaque(walk.folder):
                yield from _removed_below(path, walk.folder)
    finally:
        walk.close()


class ChangeList(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, sorted by path, and sentences about what was not looked at."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


def list_changes(
    staging: int, layers: Sequence[tuple[str, bytes]], *, first_id: int = 0, ignored: frozenset[bytes] = frozenset()
) -> ChangeList:
    """Compare each upper folder of the staging area (a descriptor) with the host.

    `first_id` is where the sandbox's id range begins (0: unshifted); `ignored` are paths that harden made itself.
    Raises KernelError when a layer cannot be read.
    """
    changes: list[Change] = []
    notes: list[str] = []
    skipped: list[bytes] = []
    for name, point in layers:
        try:
            upper = os.open(f"u{name}", FOLDER, dir_fd=staging)
            try:
                for change in _walk(upper, point, ignored, first_id, skipped):
                    if len(changes) == _MOST_CHANGES:
                        notes.append(f"more than {_MOST_CHANGES} files were changed: the list of changes is not whole")
                        break
                    changes.append(change)
            finally:
                os.close(upper)
        except OSError as error:
            raise KernelError(f'open("u{name}", O_DIRECTORY)', error.errno or 0, hint="please report this") from None
        if notes:
            break
    if skipped:
        start = to_text(skipped[0][:80])
        notes.append(f"folders nested too deep to have a path are not in the list of changes: below {start}...")
    return ChangeList(changes=tuple(sorted(changes)), notes=tuple(notes))
