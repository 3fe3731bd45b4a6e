"""How a path leads to a folder or file of the host, and who can make it lead elsewhere."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import msgspec

from harden.errors import KernelError
from harden.launch.symlinks import Resolved, lies_in, resolve

__all__ = ["Way", "hold_folder", "way_to", "way_to_be"]

_STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """`path` without any symbolic link, and what was looked up in folders to get there, links among it."""

    path: bytes
    entries: tuple[bytes, ...]
    links: frozenset[bytes]

    @classmethod
    def of(cls, found: Resolved) -> Way:
        """That of a path that was followed."""
        return cls(path=found.path, entries=found.entries, links=frozenset(link for link, _ in found.links))

    def entry_in(self, folder: bytes) -> bytes | None:
        """The first entry on the way that whoever may write into `folder` can exchange, by rename(2)."""
        return next((entry for entry in self.entries if lies_in(entry, (folder,))), None)

    def to_file(self, name: bytes) -> Way:
        """The way to a file in this folder. Nobody exchanges the file's own entry: it is covered."""
        return msgspec.structs.replace(self, path=os.path.join(self.path, name))

    def to_covered(self) -> Way:
        """The same for a way that leads to the file already."""
        return msgspec.structs.replace(self, entries=tuple(entry for entry in self.entries if entry != self.path))


def way_to(path: Path) -> Way:
    """Follow `path`, which must exist. Raises KernelError with the reason why it cannot be followed."""
    try:
        given = os.path.join(os.getcwdb(), os.fsencode(path))
        # resolve() does not say why.
        os.stat(given)
        found = resolve(given)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "")
    except OSError as error:
        raise KernelError(f"stat({str(path)!r})", error.errno or 0) from None
    return Way.of(found)


def way_to_be(folder: Path) -> Way:
    """The way to a folder that may have to be made first, with those above it. Raises KernelError as way_to() does."""
    try:
        return way_to(folder)
    except KernelError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR) or folder == folder.parent:
            raise
    above = way_to_be(folder.parent)
    made = os.path.join(above.path, os.fsencode(folder.name))
    return msgspec.structs.replace(above, path=made, entries=(*above.entries, made))


def hold_folder(way: Way) -> int:
    """A descriptor (O_PATH) of the folder that `way` leads to, so that nothing exchanges it any more.

    Raises OSError where a part of the path has become a symbolic link since, as openat2(2) does with
    RESOLVE_NO_SYMLINKS.
    """
    at = os.open(b"/", _STEP)
    for name in way.path.split(b"/"):
        if not name:
            continue
        outer, at = at, -1
        try:
            at = os.open(name, _STEP, dir_fd=outer)
        finally:
            os.close(outer)
    return at
