"""Where symbolic links of the host lead the folders that a program makes: what is made in them has other names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from harden.launch.symlinks import LinkGuard, Resolved, resolve_below
from harden.model.guarded_root import is_too_wide
from harden.model.path_pattern import PathPattern
from harden.model.sandbox import Bind

__all__ = ["made_elsewhere"]


def made_elsewhere(
    made: Iterable[PathPattern], *, writable: Iterable[bytes], binds: Iterable[Bind], rootfs: bytes
) -> tuple[PathPattern, ...]:
    """The patterns of folders as they stand after the links on their way, as far as there are any.

    A link that the program can have made, in what it may write to, is not followed, nor is what lies in a folder of
    others. `rootfs`: the folder of the host that is "/" for the program, b"" for the host's. Raises KernelError for a
    loop of links.
    """
    return tuple(_followed(made, LinkGuard(writable, binds, rootfs), rootfs))


def _followed(made: Iterable[PathPattern], guard: LinkGuard, rootfs: bytes) -> Iterator[PathPattern]:
    for pattern in made:
        above, found = _standing(pattern.folder, rootfs)
        path = found.path[len(rootfs) :]
        if not found.links or any(guard.is_programs(link) for link, _ in found.links):
            continue
        before = PathPattern.literal(above).text
        if pattern.text.startswith(before) and not is_too_wide(pattern.folder) and not is_too_wide(path):
            yield PathPattern.parse(PathPattern.literal(path).text + pattern.text[len(before) :])


def _standing(folder: bytes, rootfs: bytes) -> tuple[bytes, Resolved]:
    """The nearest folder at or above `folder` that is there, and where it leads."""
    found = resolve_below(folder, rootfs)
    while found is None:
        folder = os.path.dirname(folder)
        found = resolve_below(folder, rootfs)
    return folder, found
