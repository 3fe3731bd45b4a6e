"""Where a path of the host leads, and the symbolic links it goes through: path_resolution(7)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from harden.errors import HardenError, KernelError

__all__ = ["LinkGuard", "Resolved", "follow", "is_below", "resolve"]

_MOST_LINKS: Final = 40
"""MAXSYMLINKS of the kernel."""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`path` without any symbolic link, and every link on the way as (its own path, its text)."""

    path: bytes
    links: tuple[tuple[bytes, bytes], ...]


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or lies in it; both without trailing slash, except the root."""
    return path == folder or folder == b"/" or path.startswith(folder + b"/")


def resolve(path: bytes, root: bytes = b"") -> Resolved | None:
    """Follow `path` (absolute) component by component; None when it does not exist or cannot be reached.

    `root`: a folder of the host that is "/" for `path`, for its links and for the result. Raises KernelError for a loop
    of links.
    """
    waiting = [part for part in path.split(b"/") if part and part != b"."][::-1]
    at = b""
    links: list[tuple[bytes, bytes]] = []
    while waiting:
        part = waiting.pop()
        if part == b"..":
            at = at.rpartition(b"/")[0]
            continue
        step = at + b"/" + part
        try:
            text = os.readlink(root + step)
        except FileNotFoundError:
            return None
        except OSError:
            # EINVAL: not a link; EACCES, ENOTDIR: found out by lstat below
            at = step
            continue
        links.append((step, text))
        if len(links) > _MOST_LINKS:
            raise KernelError(f'open("{os.fsdecode(path)}")', 40, hint="its symbolic links lead in a circle")
        if text.startswith(b"/"):
            at = b""
        waiting += [piece for piece in text.split(b"/") if piece and piece != b"."][::-1]
    try:
        os.lstat(root + at or b"/")
    except OSError:
        return None
    return Resolved(path=at or b"/", links=tuple(links))


def follow(path: bytes, link_at: Callable[[bytes], bytes | None]) -> bytes:
    """Where `path` leads in a view whose links `link_at` tells (None: not a link), whether it exists there or not.

    Raises KernelError for a loop of links.
    """
    waiting = [part for part in path.split(b"/") if part and part != b"."][::-1]
    at = b""
    links = 0
    while waiting:
        part = waiting.pop()
        if part == b"..":
            at = at.rpartition(b"/")[0]
            continue
        step = at + b"/" + part
        text = link_at(step)
        if text is None:
            at = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise KernelError(f'open("{os.fsdecode(path)}")', 40, hint="its symbolic links lead in a circle")
        if text.startswith(b"/"):
            at = b""
        waiting += [piece for piece in text.split(b"/") if piece and piece != b"."][::-1]
    return at or b"/"


class LinkGuard:
    """Tells links that the program made from links of the host: those in what it may write to for real are its own.

    A program that replaces a folder of its own by a link would otherwise choose what the next start shows of the host.
    A link that stays within what is writable anyway is let through, and for reading one into /usr, which every view
    shows.
    """

    def __init__(self, writable: Iterable[bytes]) -> None:
        found = [each for each in map(resolve, writable) if each is not None]
        self._controlled = tuple({each.path for each in found})
        self._trusted = tuple({each.path for each in found if self._own_link(each) is None})

    def _own_link(self, resolved: Resolved) -> bytes | None:
        """The first link on the way that the program can have made."""
        for link, _ in resolved.links:
            if any(is_below(os.path.dirname(link), path) for path in self._controlled):
                return link
        return None

    def check(self, resolved: Resolved, *, writable: bool) -> Resolved:
        """`resolved` itself; raises HardenError naming a link that leads out of what the program may write to."""
        link = self._own_link(resolved)
        allowed = self._trusted if writable else (*self._trusted, b"/usr")
        if link is None or any(is_below(resolved.path, path) for path in allowed):
            return resolved
        raise HardenError(
            f"{os.fsdecode(link)} is a symbolic link to {os.fsdecode(resolved.path)} in a folder that the program may "
            "write to: the program would choose what of the host it is shown",
            hint=f"check who made {os.fsdecode(link)}; name what it leads to instead of the link, or remove it",
        )
