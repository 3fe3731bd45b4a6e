"""A walk through folders that a program nested as deep as it liked: one open descriptor, no recursion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from harden.errors import KernelError

__all__ = ["FOLDER", "LONGEST_PATH", "LayerWalk", "step_down", "step_up"]

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened below a descriptor: a symbolic link in its place is an error."""

LONGEST_PATH: Final = 4096
"""PATH_MAX: what lies deeper has no name that could be given to the kernel."""


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def step_down(folder: int, name: bytes) -> tuple[int, tuple[int, int]]:
    """Open a folder below `folder`, which is closed; also who the folder above is, for `step_up`. Raises OSError."""
    below = os.open(name, FOLDER, dir_fd=folder)
    above = _identity(folder)
    os.close(folder)
    return below, above


def step_up(folder: int, above: tuple[int, int]) -> int:
    """Open the folder above `folder`, which is closed. Raises KernelError if it has been moved meanwhile."""
    up = os.open("..", FOLDER, dir_fd=folder)
    if _identity(up) != above:
        os.close(up)
        raise KernelError('openat(…, "..")', 2, hint="a folder was moved while it was read; run it again")
    os.close(folder)
    return up


class LayerWalk:
    """Iterates over (name, path, status) of a folder's entries, sorted; after `descend`, over those below first.

    `folder` is the descriptor of the folder that the walk is in. Nobody else changes the files: the program is over.
    """

    def __init__(self, folder: int, path: bytes) -> None:
        self.folder = os.open(".", FOLDER, dir_fd=folder)
        self._path = path
        self._waiting = [self._names()]
        self._above: list[tuple[tuple[int, int], bytes]] = []

    def _names(self) -> list[bytes]:
        return sorted((os.fsencode(name) for name in os.listdir(self.folder)), reverse=True)

    def __iter__(self) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
        while self._waiting:
            if not self._waiting[-1]:
                self._waiting.pop()
                if self._above:
                    above, self._path = self._above.pop()
                    self.folder = step_up(self.folder, above)
                continue
            name = self._waiting[-1].pop()
            path = self._path.rstrip(b"/") + b"/" + name
            yield name, path, os.stat(name, dir_fd=self.folder, follow_symlinks=False)

    def descend(self, name: bytes, path: bytes) -> None:
        """Go into the folder that was yielded last."""
        self.folder, above = step_down(self.folder, name)
        self._above.append((above, self._path))
        self._path = path
        self._waiting.append(self._names())

    @property
    def depth(self) -> int:
        """How many folders below the first one the walk is."""
        return len(self._above)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.folder)
