"""Questions to the system, and its answers: what a plan depends on can be asked again.

_native/start/fact.c asks the same ones before a start from a kept plan, and has to get the same answers byte for byte.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_BYTES", "QUESTIONS", "TOO_LARGE", "answer", "holds"]

MAX_BYTES = 256 * 1024 * 1024
"""Of one file, as harden.kernel.atomic_file reads: what a path leads to may be endless."""
TOO_LARGE = b"!%d" % errno.EFBIG
"""The answer for a file of more bytes: it says nothing of what is in the file."""


def _identity(status: os.stat_result) -> bytes:
    owner = status.st_uid, status.st_gid
    return b"%d %d %o %d %d %d" % (status.st_dev, status.st_ino, status.st_mode, *owner, status.st_rdev)


def _stat(path: bytes) -> bytes:
    return _identity(os.stat(path))


def _lstat(path: bytes) -> bytes:
    return _identity(os.lstat(path))


def _version(path: bytes) -> bytes:
    """Differs after any change of the file, if it was not changed just before (harden.launch.plan_cache)."""
    status = os.stat(path)
    return _identity(status) + b" %d %d %d" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _require_file(status: os.stat_result) -> None:
    """Only these end: a device or FIFO may give bytes for ever, and opening one may do something."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")


def _content(path: bytes) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _require_file(os.fstat(descriptor))
        parts, room = [], MAX_BYTES
        # Room for more costs more than most of these files.
        while part := os.read(descriptor, 8192):
            room -= len(part)
            if room < 0:
                raise OSError(errno.EFBIG, "is too large")
            parts.append(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def _document(path: bytes) -> bytes:
    """A file that is trusted by its owner and mode, and its content."""
    status = os.stat(path)
    _require_file(status)
    return _identity(status) + b" " + _content(path)


def _entry_type(entry: os.DirEntry[bytes]) -> bytes:
    if entry.is_symlink():
        return b"l"
    if entry.is_dir(follow_symlinks=False):
        return b"d"
    return b"f" if entry.is_file(follow_symlinks=False) else b"o"


def _types(path: bytes) -> bytes:
    with os.scandir(path) as entries:
        return b"/".join(sorted(entry.name + b"/" + _entry_type(entry) for entry in entries))


def _names(path: bytes) -> bytes:
    return b"/".join(sorted(os.listdir(path)))


def _executable(path: bytes) -> bytes:
    return b"%d" % os.access(path, os.X_OK)


def _writable(path: bytes) -> bytes:
    return b"%d" % os.access(path, os.W_OK)


def _readable(path: bytes) -> bytes:
    return b"%d" % os.access(path, os.R_OK)


def _variable(name: bytes) -> bytes:
    value = os.environb.get(name)
    return b"" if value is None else b"=" + value


def _inherited(number: bytes) -> bytes:
    """Whether the caller handed this descriptor on."""
    return b"%d" % os.get_inheritable(int(number))


def _alone(path: bytes) -> bytes:
    """Whether a cgroup.procs names nobody but this process."""
    return b"%d" % (_content(path).split() in ([], [b"%d" % os.getpid()]))


QUESTIONS: dict[bytes, Callable[[bytes], bytes]] = {
    b"stat": _stat,
    b"lstat": _lstat,
    b"readlink": os.readlink,
    b"listdir": _names,
    b"scandir": _types,
    b"version": _version,
    b"content": _content,
    b"document": _document,
    b"variable": _variable,
    b"inherited": _inherited,
    b"alone": _alone,
    b"access1": _executable,
    b"access2": _writable,
    b"access4": _readable,
}
"""Question → how it is asked of a path."""


def answer(question: bytes, path: bytes) -> bytes:
    """What the system says; an error is an answer too."""
    try:
        return QUESTIONS[question](path)
    except OSError as error:
        return b"!%d" % (error.errno or 0)


def holds(facts: list[bytes]) -> bool:
    """Whether every question (question, path, answer, …) has the answer that it had."""
    return all(answer(facts[at], facts[at + 1]) == facts[at + 2] for at in range(0, len(facts), 3))
