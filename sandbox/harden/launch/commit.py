"""`--commit`: carries what a program changed in its copy of the host's files into a folder of the host.

What is copied is a confined program's work, and the folder may hold some of it from before: no symbolic link is
followed on either side, files are made anew instead of written to, and nothing gets set-id bits, file capabilities,
owners or other attributes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from harden.errors import HardenError, KernelError
from harden.launch.layer_walk import FOLDER, LONGEST_PATH, LayerWalk, step_down, step_up

__all__ = ["commit"]

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY: Final = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


class _Target:
    """A place in the folder that receives the files; `path` names it in messages."""

    def __init__(self, folder: bytes) -> None:
        os.makedirs(folder, exist_ok=True)
        self.folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.path = folder
        self._above: list[tuple[tuple[int, int], bytes]] = []

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)

    @property
    def depth(self) -> int:
        return len(self._above)

    def descend(self, name: bytes) -> None:
        with self.naming(name):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=self.folder)
            self.folder, above = step_down(self.folder, name)
        self._above.append((above, self.path))
        self.path = os.path.join(self.path, name)

    def ascend(self) -> None:
        above, self.path = self._above.pop()
        self.folder = step_up(self.folder, above)

    @contextlib.contextmanager
    def naming(self, name: bytes) -> Iterator[None]:
        """Turns what stands in the way of `name` into an error that names it."""
        try:
            yield
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            path = os.fsdecode(os.path.join(self.path, name))
            raise HardenError(
                f"--commit: {path} is there already and is not what the program made of it ({error.strerror})",
                hint=f"check what {path} is and remove it, or commit into an empty folder",
            ) from None

    def remove(self, name: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.folder)

    def copy_file(self, source: int, name: bytes) -> None:
        reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        with open(reader, "rb") as content, self.naming(name):
            self.remove(name)
            writer = os.open(name, _NEW_FILE, 0o600, dir_fd=self.folder)
            with open(writer, "wb") as copy:
                shutil.copyfileobj(content, copy)
                os.fchmod(copy.fileno(), os.fstat(content.fileno()).st_mode & 0o777)

    def copy_link(self, source: int, name: bytes) -> None:
        with self.naming(name):
            self.remove(name)
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=self.folder)


def _copy_tree(upper: int, point: bytes, target: _Target) -> bool:
    """False when folders were too deep to be copied."""
    walk = LayerWalk(upper, point)
    first, whole = target.depth, True
    try:
        for name, path, status in walk:
            while target.depth - first > walk.depth:
                target.ascend()
            if stat.S_ISDIR(status.st_mode) and len(path) >= LONGEST_PATH:
                whole = False
            elif stat.S_ISDIR(status.st_mode):
                walk.descend(name, path)
                target.descend(name)
            elif stat.S_ISLNK(status.st_mode):
                target.copy_link(walk.folder, name)
            elif stat.S_ISREG(status.st_mode):
                target.copy_file(walk.folder, name)
    finally:
        walk.close()
    return whole


def commit(staging: int, layers: Sequence[tuple[str, bytes]], folder: bytes) -> tuple[str, ...]:
    """Copy what was created and modified into `folder`, below the host's path of each file.

    Devices, sockets and FIFOs are not copied; what was removed leaves no trace there. Sentences about what else was
    left out. Raises KernelError, and HardenError naming a link or another file that stands in the way.
    """
    whole = True
    try:
        for name, point in layers:
            with _Target(folder) as target:
                for part in point.split(b"/"):
                    if part:
                        target.descend(part)
                upper = os.open(f"u{name}", FOLDER, dir_fd=staging)
                try:
                    whole = _copy_tree(upper, point, target) and whole
                finally:
                    os.close(upper)
    except OSError as error:
        raise KernelError(
            f'copy of the changes to "{os.fsdecode(folder)}"',
            error.errno or 0,
            hint="choose an empty folder that you can write to, with enough space",
        ) from None
    return () if whole else ("--commit: folders nested too deep to have a path were not copied",)
