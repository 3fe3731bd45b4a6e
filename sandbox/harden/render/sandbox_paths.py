"""What the minimal view must show of the host, and how, for a profile's file rights to mean anything inside.

/usr, the loader's trees, /proc, /sys, /dev and the private folders are in every view; everything else is hidden unless
it is listed here. Where a right needs a folder (making a name, listing, a pattern) the narrowest one is shown, and
listed as a widening; a folder that holds other programs' files is never shown for that.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import msgspec

from harden.model.guarded_root import ON_ROOT, OWN, PRIVATE, is_beneath, is_too_wide
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text, to_text
from harden.model.profile import Profile, folders_made
from harden.model.recording import FileOperation
from harden.model.widening import Widening

__all__ = ["SandboxPaths", "sandbox_paths"]

_ALWAYS: Final = (*OWN, b"/bin", b"/lib", b"/lib32", b"/lib64", b"/libx32", b"/sbin")
_USR: Final = b"/usr"
_MOST_PATHS: Final = 256
"""Each path is a mount of its own; with more than this, the fullest folders are shown as a whole."""
_OUT_OF_REACH: Final = frozenset({FileOperation.CONNECT})
"""Sockets of the host are shown only if named with --bind."""
_WRITES: Final = frozenset(
    {FileOperation.WRITE, FileOperation.APPEND, FileOperation.TRUNCATE, FileOperation.CHMOD, FileOperation.CHOWN,
     FileOperation.UTIME, FileOperation.XATTR}
)  # fmt: skip
_NAMES: Final = frozenset(
    {FileOperation.CREATE, FileOperation.MKDIR, FileOperation.SYMLINK, FileOperation.MKSOCK, FileOperation.MKFIFO,
     FileOperation.MKNOD, FileOperation.UNLINK, FileOperation.RMDIR, FileOperation.REFER, FileOperation.LINK}
)  # fmt: skip
_READS: Final = frozenset(
    {FileOperation.LIST, FileOperation.READ, FileOperation.LOCK, FileOperation.IOCTL, FileOperation.EXEC,
     FileOperation.MAP}
)  # fmt: skip

_PARENT: Final = "making and removing names needs the folder"
_MANY: Final = f"more than {_MOST_PATHS} paths would be shown one by one"
_PATTERN: Final = "a pattern needs the folder that holds all it stands for"
_LOST: Final = "the folder above holds other programs' files; what is written here does not reach the host"
_REDUCED: Final = "the folder holds other programs' files; listing it works and shows what else is shown there"
_MOVES: Final = "renaming and linking between folders needs one mount that holds both"
_NO_MOVES: Final = "the folder that holds both holds other programs' files; the kernel answers EXDEV"
_TOO_WIDE: Final = "the folder holds other programs' files; work in a folder of its own, or name it with --bind"


class SandboxPaths(msgspec.Struct, frozen=True, kw_only=True):
    """Host paths for the minimal view, each tuple sorted; parents come before what is in them."""

    visible: tuple[bytes, ...]
    """Shown read-only."""
    looked_at: tuple[bytes, ...]
    """Only ever looked at (stat): read-only if it is no folder, and an empty folder is enough if it is one."""
    writable: tuple[bytes, ...]
    """Shown writable: changes reach the host."""
    folders: tuple[bytes, ...]
    """Made inside, empty, where nothing else shows them."""
    widenings: tuple[Widening, ...]
    """Where more is shown than the profile names, and what is refused because too much would be."""


class _View:
    def __init__(self, workload_folders: tuple[bytes, ...], bound: tuple[bytes, ...]) -> None:
        self.workload_folders = workload_folders
        self.bound = bound
        self.visible: set[bytes] = set()
        self.looked_at: set[bytes] = set()
        self.writable: set[bytes] = set()
        self.folders: set[bytes] = set()
        self.moved: set[bytes] = set()
        """Folders between which names are moved or linked."""
        self.widenings: set[Widening] = set()

    def is_shown_anyway(self, path: bytes, *, to_write: bool) -> bool:
        """Whether the view has this path without our doing."""
        if any(is_beneath(path, target) for target in self.bound):
            return True
        if any(is_beneath(path, folder) for folder in self.workload_folders):
            return False
        roots = (*_ALWAYS, *PRIVATE) if to_write else (*_ALWAYS, *PRIVATE, _USR)
        return any(is_beneath(path, root) for root in roots)

    def show_folder(self, folder: bytes, shown: set[bytes], kind: str, asked: str, reason: str) -> bool:
        """Show a whole folder for the sake of something in it; False when that would be too much."""
        refused = is_too_wide(folder)
        granted = "" if refused else f"{kind} {to_text(folder)}"
        self.widenings.add(Widening(asked=asked, granted=granted, reason=_TOO_WIDE if refused else reason))
        if not refused:
            shown.add(folder)
        return not refused


def sandbox_paths(
    profile: Profile, mounted: tuple[bytes, ...] = (), elsewhere: tuple[PathPattern, ...] = ()
) -> SandboxPaths:
    """The narrowest view of the host in which the profile's file rights can be used.

    `mounted`: places where something else is mounted, as it is where the workload's binds are: nothing of the host has
    to be shown there. `elsewhere`: where links lead the folders that the profile makes.
    """
    workload = profile.workload
    cwd, program = from_text(workload.cwd), from_text(workload.program)
    view = _View(
        tuple(folder for folder in (cwd, posixpath.dirname(program)) if _is_below_private(folder)),
        (*(from_text(bind.target) for bind in workload.binds), *mounted),
    )
    rights = list(profile.rights.all_files())
    made = [*folders_made(rights), *elsewhere]
    for pattern, operations in rights:
        _show(view, pattern, operations - _OUT_OF_REACH, made)
    if not any(is_beneath(program, root) for root in (*_ALWAYS, _USR, *view.bound)):
        view.visible.add(program)
    if cwd != b"/" and not view.is_shown_anyway(cwd, to_write=False):
        view.folders.add(cwd)
    _join_moves(view)
    return _narrowed(view)


def _is_below_private(folder: bytes) -> bool:
    return any(is_beneath(folder, root) and folder != root for root in PRIVATE)


def _show(view: _View, pattern: PathPattern, operations: frozenset[FileOperation], made: list[PathPattern]) -> None:
    place = pattern.path if pattern.is_literal else pattern.folder
    asked = f"{' '.join(sorted(operations))} {pattern.text}"
    if pattern.text == "/":
        operations &= ON_ROOT
    if operations & _NAMES:
        _show_parent(view, pattern, operations, asked, made)
    elif operations & _WRITES and not view.is_shown_anyway(place, to_write=True):
        if pattern.is_literal:
            view.writable.add(place)
        else:
            view.show_folder(place, view.writable, "writable", asked, _PATTERN)
    elif operations & _READS and not view.is_shown_anyway(place, to_write=False):
        if not pattern.is_literal:
            view.show_folder(place, view.visible, "visible", asked, _PATTERN)
        elif FileOperation.LIST in operations and is_too_wide(place):
            view.looked_at.add(place)
            view.widenings.add(Widening(asked=asked, granted=f"a reduced view of {pattern.text}", reason=_REDUCED))
        elif FileOperation.LIST in operations:
            view.show_folder(place, view.visible, "visible", asked, "listing a folder shows what is in it")
        else:
            view.visible.add(place)
    elif operations and pattern.is_literal and not view.is_shown_anyway(place, to_write=False):
        view.looked_at.add(place)


def _show_parent(
    view: _View, pattern: PathPattern, operations: frozenset[FileOperation], asked: str, made: list[PathPattern]
) -> None:
    """What the program makes in a folder that it makes itself needs nothing more than that folder's own parent."""
    folder = pattern.folder
    while folder != b"/" and any(each.matches(folder) for each in made):
        if folder in view.folders:
            view.moved |= {folder} if FileOperation.REFER in operations else set()
            return
        folder = posixpath.dirname(folder)
    if view.is_shown_anyway(folder, to_write=True):
        return
    if FileOperation.MKDIR in operations and pattern.is_literal and is_too_wide(folder):
        view.folders.add(pattern.path)
        view.widenings.add(Widening(asked=asked, granted=f"an empty {pattern.text} of its own", reason=_LOST))
        return
    if FileOperation.REFER in operations:
        view.moved.add(folder)
    if view.show_folder(folder, view.writable, "writable", asked, _PARENT) or not pattern.is_literal:
        return
    if operations & _WRITES | operations & _READS:
        view.writable.add(pattern.path)


def _join_moves(view: _View) -> None:
    """Every mount is a device of its own to rename(2) and link(2): what is moved between folders needs one for both.

    A recording does not tell which folder goes with which, so all are joined as far as no folder of others is in it.
    """
    roots = _outermost(view.moved)
    while True:
        joined = [(posixpath.commonpath(pair), pair) for pair in pairwise(roots)]
        possible = [(each, pair) for each, pair in joined if not _is_of_others(each)]
        if not possible:
            break
        folder, pair = max(possible, key=lambda each: (each[0].count(b"/"), each))
        view.show_folder(folder, view.writable, "writable", _move(pair), _MOVES)
        roots = _outermost({*roots, folder})
    for _, pair in joined:
        view.widenings.add(Widening(asked=_move(pair), granted="", reason=_NO_MOVES))


def _is_of_others(folder: bytes) -> bool:
    return is_too_wide(folder) or any(is_beneath(root, folder) for root in PRIVATE)


def _move(pair: tuple[bytes, bytes]) -> str:
    return f"refer between {to_text(pair[0])} and {to_text(pair[1])}"


def _narrowed(view: _View) -> SandboxPaths:
    """Leaves out what is inside something that is shown already, and parents that appear with what is in them."""
    writable = _outermost(view.writable)
    visible = _gathered(view, [path for path in _outermost(view.visible) if not _is_in(path, writable)])
    shown = (*writable, *visible)
    looked_at = [path for path in sorted(view.looked_at) if not _is_in(path, shown) and not _holds(path, shown)]
    return SandboxPaths(
        visible=tuple(sorted(visible)),
        looked_at=tuple(looked_at),
        writable=tuple(sorted(writable)),
        folders=tuple(path for path in sorted(view.folders) if not _is_in(path, shown)),
        widenings=tuple(sorted(view.widenings)),
    )


def _gathered(view: _View, visible: list[bytes]) -> list[bytes]:
    """At most `_MOST_PATHS`, as far as folders that hold nothing but the program's allow it."""
    while len(visible) > _MOST_PATHS:
        counts = Counter(posixpath.dirname(path) for path in visible)
        full = [folder for folder in counts if not is_too_wide(folder)]
        if not full:
            break
        folder = min(full, key=lambda each: (-counts[each], each))
        view.show_folder(folder, view.visible, "visible", f"{counts[folder]} paths in {to_text(folder)}", _MANY)
        visible = _outermost({*visible, folder})
    return visible


def _outermost(paths: Iterable[bytes]) -> list[bytes]:
    """Sorted by component, what is in a folder comes right after it."""
    kept: list[bytes] = []
    for path in sorted(paths, key=lambda path: path.split(b"/")):
        if not kept or not is_beneath(path, kept[-1]):
            kept.append(path)
    return kept


def _is_in(path: bytes, folders: Iterable[bytes]) -> bool:
    return any(is_beneath(path, folder) for folder in folders)


def _holds(path: bytes, others: Iterable[bytes]) -> bool:
    return any(is_beneath(other, path) for other in others)
