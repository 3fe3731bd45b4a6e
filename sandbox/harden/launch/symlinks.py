"""Where a path of the host leads, and the symbolic links it goes through: path_resolution(7)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final

import msgspec

from harden.errors import HardenError, KernelError
from harden.model.guarded_root import is_beneath, is_too_wide
from harden.model.sandbox import Bind

__all__ = ["LinkGuard", "Resolved", "follow", "has_links", "leads_to_others", "lies_in", "resolve", "resolve_below"]

_MOST_LINKS: Final = 40
"""MAXSYMLINKS of the kernel."""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`path` without any symbolic link, every link on the way as (its own path, its text), and every entry of a folder
    that was looked up on the way, links among them: who can exchange one of them chooses where the path leads."""

    path: bytes
    links: tuple[tuple[bytes, bytes], ...]
    entries: tuple[bytes, ...]


def lies_in(path: bytes, folders: Iterable[bytes]) -> bool:
    """Whether the entry `path` is in one of `folders` or below: whoever may write there can have made it."""
    return any(is_beneath(os.path.dirname(path), each) for each in folders)


def resolve(path: bytes, root: bytes = b"") -> Resolved | None:
    """Follow `path` (absolute) component by component; None when it does not exist or cannot be reached.

    `root`: a folder of the host that is "/" for `path`, for its links and for the result. Raises KernelError for a loop
    of links.
    """
    found, links, entries = _walk(path, root)
    return None if found is None else Resolved(path=found, links=links, entries=entries)


def resolve_below(path: bytes, root: bytes) -> Resolved | None:
    """Like resolve(), with the paths that the host has for the result and the links: `root` and what comes after it."""
    found = resolve(path, root)
    if found is None:
        return None
    return Resolved(
        path=root + found.path,
        links=tuple((root + link, where) for link, where in found.links),
        entries=tuple(root + entry for entry in found.entries),
    )


def has_links(path: bytes, root: bytes = b"") -> bool:
    """Whether there is a symbolic link on the way to `path` below `root`, or at its end; it need not exist."""
    parts = path.split(b"/")
    return any(os.path.islink(root + b"/".join(parts[:count])) for count in range(2, len(parts) + 1))


def leads_to_others(path: bytes, found: bytes, root: bytes = b"") -> str:
    """A sentence where links lead `path` to a folder, `found` below `root`, that holds other programs' files; or ""."""
    if found == path or not is_too_wide(found) or not os.path.isdir(root + found):
        return ""
    return (
        f"{os.fsdecode(path)} leads to {os.fsdecode(found)}, which holds other programs' files: "
        "it is not shown writable; --bind names it"
    )


def _walk(path: bytes, root: bytes) -> tuple[bytes | None, tuple[tuple[bytes, bytes], ...], tuple[bytes, ...]]:
    """Where `path` leads (None: nowhere), and the links and all entries on the way as far as it goes."""
    links: list[tuple[bytes, bytes]] = []
    entries: list[bytes] = []

    def link_at(step: bytes) -> bytes | None:
        entries.append(step)
        try:
            text = os.readlink(root + step)
        except FileNotFoundError:
            raise
        except OSError:
            # EINVAL: not a link; EACCES, ENOTDIR: found out by lstat below
            return None
        links.append((step, text))
        return text

    found: bytes | None
    try:
        found = follow(path, link_at)
        os.lstat(root + found)
    except OSError:
        found = None
    return found, tuple(links), tuple(entries)


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

    def __init__(self, writable: Iterable[bytes], binds: Iterable[Bind], root: bytes) -> None:
        """`writable`: paths below `root`, a folder of the host that is "/" for the program (b"": the host's)."""
        shown = [resolve_below(path, root) for path in writable]
        shown += [resolve(bind.source) for bind in binds if bind.writable]
        found = [each for each in shown if each is not None]
        self._controlled = tuple({each.path for each in found})
        self._trusted = tuple({each.path for each in found if self._own_link(each) is None})

    def is_programs(self, link: bytes) -> bool:
        """Whether the program can have made the link at this path of the host."""
        return lies_in(link, self._controlled)

    def links_to(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """The links on the way to `path`, which need not exist, up to the first that the program can have made.

        Raises KernelError for a loop of links.
        """
        return tuple(takewhile(lambda each: not self.is_programs(each[0]), _walk(path, b"")[1]))

    def _own_link(self, resolved: Resolved) -> bytes | None:
        """The first link on the way that the program can have made."""
        return next((link for link, _ in resolved.links if self.is_programs(link)), None)

    def check(self, resolved: Resolved, *, writable: bool) -> Resolved:
        """`resolved` itself; raises HardenError naming a link that leads out of what the program may write to."""
        link = self._own_link(resolved)
        allowed = self._trusted if writable else (*self._trusted, b"/usr")
        if link is None or any(is_beneath(resolved.path, path) for path in allowed):
            return resolved
        raise HardenError(
            f"{os.fsdecode(link)} is a symbolic link to {os.fsdecode(resolved.path)} in a folder that the program may "
            "write to: the program would choose what of the host it is shown",
            hint=f"check who made {os.fsdecode(link)}; name what it leads to instead of the link, or remove it",
        )
