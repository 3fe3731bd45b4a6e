"""Files that are replaced whole or not at all, and read only when nobody else could have written them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from harden.errors import DocumentError, KernelError

__all__ = ["MAX_BYTES", "deliver", "make_folder", "read", "read_trusted", "replace", "replacing"]

MAX_BYTES: Final = 256 * 1024 * 1024
"""A document larger than this is refused before it is read."""

_MOST_LINKS: Final = 40
"""As the kernel follows (path_resolution(7))."""
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def replace(path: Path, data: bytes, *, mode: int = 0o644, folder: int | None = None) -> None:
    """Put `data` at `path` by rename(2), so that a crash or a full disk leaves the old file as it was.

    Raises KernelError with the call that failed; nothing stays behind then. `folder`: as for `replacing`.
    """
    with replacing(path, mode=mode, folder=folder) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644, folder: int | None = None) -> Iterator[BinaryIO]:
    """A file to write, which is put at `path` by rename(2) when the block ends well; see `replace`.

    A file that is there keeps its mode, but for the right of others to write, or to do anything where `mode` gives them
    nothing. Raises DocumentError where something is that is neither a file nor a link: renaming over a device of /dev
    takes it away from the whole host. With `folder`, a descriptor, it is the name of `path` in that folder, wherever
    the path leads by now.
    """
    at, into = (path, None) if folder is None else (Path(path.name), folder)
    kept = _mode_to_keep(at, private=not mode & 0o077, folder=into)
    temporary = at.with_name(f".{path.name}.{os.getpid()}.new")
    call = f"open({str(temporary)!r}, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW)"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, mode, dir_fd=into)
    except OSError as error:
        raise KernelError(
            call, error.errno or 0, hint=f"{path} was left as it is; choose a folder you can write to"
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            if kept is not None:
                call = f"fchmod({str(temporary)!r}, {kept:04o})"
                os.fchmod(file.fileno(), kept)
            call = f"write({str(temporary)!r})"
            yield file
            file.flush()
            os.fsync(file.fileno())
        call = f"rename({str(temporary)!r}, {str(path)!r})"
        os.rename(temporary, at, src_dir_fd=into, dst_dir_fd=into)
    except OSError as error:
        _unlink(temporary, into)
        raise KernelError(call, error.errno or 0, hint=f"{path} was left as it is") from None
    except BaseException:
        _unlink(temporary, into)
        raise


def _unlink(path: Path, folder: int | None) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path, dir_fd=folder)


def deliver(path: Path, data: bytes) -> None:
    """Put `data` where a person said: into a FIFO, a device or what a descriptor is open on, such as /dev/stdout, as it
    is; anywhere else by `replace`.

    Raises KernelError with the call that failed.
    """
    if not _takes_bytes(path) and not _is_descriptor(path):
        replace(path, data)
        return
    call = f"open({str(path)!r}, O_WRONLY|O_APPEND)"
    try:
        # O_APPEND: a shell may have opened the file with >>.
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC
        with open(os.open(path, flags), "wb", buffering=0) as file:
            call = f"write({str(path)!r})"
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
    except OSError as error:
        raise KernelError(call, error.errno or 0, hint="name another file with -o") from None


def make_folder(path: Path) -> None:
    """Make a folder where none is, and those above it; KernelError names the call that failed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KernelError(f"mkdir({str(path)!r}, 0777)", error.errno or 0, hint="choose another folder") from None


def read(path: Path) -> bytes:
    """The bytes of a regular file; KernelError when it cannot be opened, DocumentError when it is no document."""
    data, _ = _read(path, follow=True)
    return data


def read_trusted(path: Path, *, trust: bool = False) -> bytes:
    """Like `read`, but refuses a file that somebody else owns, can write to or can exchange, unless `trust`.

    A profile decides what a program may do: whoever can write it can undo it. A symbolic link is refused, and a folder
    in which others may rename files (writable without the sticky bit, chmod(2)).
    """
    data, status = _read(path, follow=trust)
    if not trust:
        _check_folder(path.parent)
    if not trust and status.st_uid not in (0, os.geteuid()):
        raise DocumentError(
            str(path), f"is owned by uid {status.st_uid}, not by you or root", hint="check it, then give --trust"
        )
    if not trust and status.st_mode & _WRITABLE_BY_OTHERS:
        raise DocumentError(
            str(path),
            f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"chmod go-w {path}, or check it and give --trust",
        )
    return data


def _takes_bytes(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _is_descriptor(path: Path) -> bool:
    """Whether it is a link of /proc/PID/fd, or leads to one: renaming over /dev/stdout takes it from the whole host."""
    link = str(path)
    for _ in range(_MOST_LINKS):
        if not os.path.islink(link):
            return False
        folder = os.path.realpath(os.path.dirname(link))
        if folder.startswith("/proc/"):
            return True
        link = os.path.join(folder, os.readlink(link))
    return False


def _mode_to_keep(path: Path, *, private: bool, folder: int | None) -> int | None:
    try:
        mode = os.lstat(path, dir_fd=folder).st_mode
    except OSError:
        # What cannot be looked at cannot be written beside either: opening says why.
        return None
    if stat.S_ISREG(mode):
        return mode & (0o700 if private else 0o777 & ~_WRITABLE_BY_OTHERS)
    if not stat.S_ISLNK(mode) and not stat.S_ISDIR(mode):
        raise DocumentError(str(path), "is not a regular file, and was left as it is", hint="name another file")
    return None


def _check_folder(folder: Path) -> None:
    mode = folder.stat().st_mode
    if mode & _WRITABLE_BY_OTHERS and not mode & stat.S_ISVTX:
        raise DocumentError(
            str(folder),
            f"others can exchange the files in it (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod go-w {folder}, or check its files and give --trust",
        )


def _read(path: Path, *, follow: bool) -> tuple[bytes, os.stat_result]:
    try:
        # O_NONBLOCK: opening a FIFO must not hang.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise DocumentError(str(path), "is a symbolic link", hint="name the file itself, or give --trust") from None
        raise KernelError(f"open({str(path)!r}, O_RDONLY)", error.errno or 0) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise DocumentError(str(path), "is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        # A file of /proc says that it has none.
        data = b"" if status.st_size > MAX_BYTES else file.read(MAX_BYTES + 1)
    if max(status.st_size, len(data)) > MAX_BYTES:
        raise DocumentError(str(path), f"is larger than {MAX_BYTES} bytes, the most that is read")
    return data, status
