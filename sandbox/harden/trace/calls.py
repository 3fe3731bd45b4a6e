"""Which system calls say something about files or sockets, and how they are read: one row per call.

The kernel side gets the numbers of each row (`config.py`); the decoder asks the same row what was done. Argument
positions are those of syscall(2): 0 to 5. Operations on descriptors that were opened for it (read, write, fstat) have
no row: opening already said what matters.
"""

from __future__ import annotations

import enum
import stat
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from harden.model.recording import FileOperation, SocketOperation

__all__ = ["CALLS", "MODE_CREATED", "CallRow", "Condition", "Kind", "open_operations"]

MODE_CREATED: Final = 1 << 16
"""Bit above an inode's mode: this open made the file (FMODE_CREATED)."""

_O_ACCMODE: Final = 3
_O_WRONLY: Final = 1
_O_RDWR: Final = 2
_O_CREAT: Final = 0o100
_O_TRUNC: Final = 0o1000
_O_APPEND: Final = 0o2000
_O_DIRECTORY: Final = 0o200000
_O_PATH: Final = 0o10000000
_O_TMPFILE: Final = 0o20000000
_OPEN_FLAGS: Final = _O_ACCMODE | _O_CREAT | _O_TRUNC | _O_APPEND | _O_DIRECTORY | _O_PATH | _O_TMPFILE
_AT_REMOVEDIR: Final = 0x200

_NONE: Final = 0xFF
_OPEN_HOW: Final = 0xFE
_CREAT_FLAGS: Final = 0xFD


class Kind(enum.IntEnum):
    """How the kernel side reads a call when it ends (enum call_kind in layout.h)."""

    NONE = 0
    OPEN = 1
    FD = 2
    PATH = 3
    PATHS = 4
    SOCKET = 5
    ADDRESS = 6
    MESSAGE = 7
    MESSAGES = 8
    LISTEN = 9
    PROTECT = 10
    CHDIR = 11
    CHROOT = 12


class Condition(enum.IntEnum):
    """When a call is worth an event (enum call_condition in layout.h)."""

    ALWAYS = 0
    FAILED = 1
    LOCKING = 2
    """fcntl with a command that takes a lock."""
    DEVICE = 3
    """The descriptor is a device node."""
    EXECUTABLE = 4
    """mmap of a file with PROT_EXEC."""
    NAMED = 5
    """Not for an empty name (AT_EMPTY_PATH): that only looks at an open file."""
    LISTENING = 6
    """Of a call that waits (`waits.py`): once a socket listens."""


FileOperations = tuple[FileOperation, ...]


class CallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call: how to read it, and what it does to a file or socket."""

    syscall: str
    kind: Kind
    path: int = _NONE
    """Position of the name; of the descriptor for FD; of the address for ADDRESS."""
    dirfd: int = _NONE
    flags: int = _NONE
    flag_mask: int = 0
    path2: int = _NONE
    """Position of the second name; of the address's length for ADDRESS."""
    dirfd2: int = _NONE
    condition: Condition = Condition.ALWAYS
    operations: Callable[[int, int, bool], FileOperations]
    """From the masked flags, the inode's mode (0 if unknown) and whether the call worked."""
    socket: SocketOperation | None = None


def open_operations(flags: int, mode: int, ok: bool) -> FileOperations:
    """What opening with `flags` does; on success `mode` has the inode's type and MODE_CREATED."""
    if flags & _O_PATH:
        return (FileOperation.STAT,)
    if flags & _O_TMPFILE:
        reading = (FileOperation.READ,) if flags & _O_ACCMODE == _O_RDWR else ()
        return (*reading, FileOperation.WRITE, FileOperation.CREATE)
    found: list[FileOperation] = []
    access = flags & _O_ACCMODE
    if access in (0, _O_RDWR):
        folder = stat.S_ISDIR(mode) or (not ok and flags & _O_DIRECTORY)
        found.append(FileOperation.LIST if folder else FileOperation.READ)
    if access in (_O_WRONLY, _O_RDWR):
        found.append(FileOperation.APPEND if flags & _O_APPEND else FileOperation.WRITE)
    if access == _O_ACCMODE:
        found.append(FileOperation.STAT)
    created = bool(mode & MODE_CREATED) if ok else bool(flags & _O_CREAT)
    if created:
        found.append(FileOperation.CREATE)
    if ok and flags & _O_TRUNC and stat.S_ISREG(mode):
        # Also of a file that is new this time: the next run finds it and truncates it.
        found.append(FileOperation.TRUNCATE)
    return tuple(found)


def _unlink_operations(flags: int, _mode: int, _ok: bool) -> FileOperations:
    return (FileOperation.RMDIR if flags & _AT_REMOVEDIR else FileOperation.UNLINK,)


def _mknod_operations(flags: int, _mode: int, _ok: bool) -> FileOperations:
    made = {
        stat.S_IFIFO: FileOperation.MKFIFO,
        stat.S_IFSOCK: FileOperation.MKSOCK,
        stat.S_IFCHR: FileOperation.MKNOD,
        stat.S_IFBLK: FileOperation.MKNOD,
    }
    return (made.get(flags, FileOperation.CREATE),)


def _always(*operations: FileOperation) -> Callable[[int, int, bool], FileOperations]:
    return lambda _flags, _mode, _ok: operations


def _open(syscall: str, *, path: int = _NONE, dirfd: int = _NONE, flags: int) -> CallRow:
    return CallRow(
        syscall=syscall,
        kind=Kind.OPEN,
        path=path,
        dirfd=dirfd,
        flags=flags,
        flag_mask=_OPEN_FLAGS,
        operations=open_operations,
    )


def _fd(syscall: str, operation: FileOperation, *, fd: int = 0, condition: Condition = Condition.ALWAYS) -> CallRow:
    return CallRow(syscall=syscall, kind=Kind.FD, path=fd, condition=condition, operations=_always(operation))


def _path(
    syscall: str,
    operation: FileOperation,
    *,
    path: int = 0,
    dirfd: int = _NONE,
    condition: Condition = Condition.ALWAYS,
) -> CallRow:
    return CallRow(
        syscall=syscall, kind=Kind.PATH, path=path, dirfd=dirfd, condition=condition, operations=_always(operation)
    )


def _look(syscall: str, *, path: int = 0, dirfd: int = _NONE) -> CallRow:
    return _path(syscall, FileOperation.STAT, path=path, dirfd=dirfd, condition=Condition.NAMED)


def _choose(
    syscall: str,
    operations: Callable[[int, int, bool], FileOperations],
    *,
    path: int,
    dirfd: int = _NONE,
    flags: int = _NONE,
    flag_mask: int,
) -> CallRow:
    return CallRow(
        syscall=syscall, kind=Kind.PATH, path=path, dirfd=dirfd, flags=flags, flag_mask=flag_mask, operations=operations
    )


def _paths(
    syscall: str,
    operation: FileOperation,
    *,
    path: int,
    path2: int,
    dirfd: int = _NONE,
    dirfd2: int = _NONE,
    flags: int = _NONE,
    flag_mask: int = 0,
) -> CallRow:
    return CallRow(
        syscall=syscall,
        kind=Kind.PATHS,
        path=path,
        dirfd=dirfd,
        path2=path2,
        dirfd2=dirfd2,
        flags=flags,
        flag_mask=flag_mask,
        operations=_always(operation),
    )


def _socket(syscall: str, kind: Kind, operation: SocketOperation, *files: FileOperation) -> CallRow:
    address, length = {"sendto": (4, 5)}.get(syscall, (1, 2))
    return CallRow(syscall=syscall, kind=kind, path=address, path2=length, operations=_always(*files), socket=operation)


_FILE: Final = FileOperation
_ROWS: Final = (
    _open("open", path=0, flags=1),
    _open("openat", dirfd=0, path=1, flags=2),
    _open("openat2", dirfd=0, path=1, flags=_OPEN_HOW),
    _open("creat", path=0, flags=_CREAT_FLAGS),
    _open("open_by_handle_at", flags=2),
    _fd("getdents", _FILE.LIST),
    _fd("getdents64", _FILE.LIST),
    _fd("flock", _FILE.LOCK),
    _fd("fcntl", _FILE.LOCK, condition=Condition.LOCKING),
    _fd("ftruncate", _FILE.TRUNCATE),
    _fd("fchmod", _FILE.CHMOD),
    _fd("fchown", _FILE.CHOWN),
    _fd("fsetxattr", _FILE.XATTR),
    _fd("fremovexattr", _FILE.XATTR),
    _fd("ioctl", _FILE.IOCTL, condition=Condition.DEVICE),
    _fd("fchdir", _FILE.STAT),
    _fd("mmap", _FILE.MAP, fd=4, condition=Condition.EXECUTABLE),
    CallRow(syscall="mprotect", kind=Kind.PROTECT, operations=_always(_FILE.MAP)),
    CallRow(syscall="pkey_mprotect", kind=Kind.PROTECT, operations=_always(_FILE.MAP)),
    *(_look(name) for name in ("stat", "lstat", "access", "readlink", "statfs")),
    CallRow(syscall="chdir", kind=Kind.CHDIR, path=0, operations=_always(_FILE.STAT)),
    CallRow(syscall="chroot", kind=Kind.CHROOT, path=0, operations=_always(_FILE.STAT)),
    *(_look(name) for name in ("getxattr", "lgetxattr", "listxattr", "llistxattr")),
    *(_look(name, dirfd=0, path=1) for name in ("newfstatat", "statx", "faccessat", "faccessat2", "readlinkat")),
    *(_look(name, dirfd=0, path=1) for name in ("name_to_handle_at", "inotify_add_watch", "getxattrat", "listxattrat")),
    *(_look(name, dirfd=0, path=1) for name in ("open_tree", "fspick")),
    _look("umount2"),
    _look("fanotify_mark", dirfd=3, path=4),
    _path("execve", _FILE.EXEC, condition=Condition.FAILED),
    _path("execveat", _FILE.EXEC, dirfd=0, path=1, condition=Condition.FAILED),
    _path("unlink", _FILE.UNLINK),
    _choose("unlinkat", _unlink_operations, dirfd=0, path=1, flags=2, flag_mask=_AT_REMOVEDIR),
    _path("rmdir", _FILE.RMDIR),
    _path("mkdir", _FILE.MKDIR),
    _path("mkdirat", _FILE.MKDIR, dirfd=0, path=1),
    _choose("mknod", _mknod_operations, path=0, flags=1, flag_mask=0o170000),
    _choose("mknodat", _mknod_operations, dirfd=0, path=1, flags=2, flag_mask=0o170000),
    _path("symlink", _FILE.SYMLINK, path=1),
    _path("symlinkat", _FILE.SYMLINK, path=2, dirfd=1),
    _path("chmod", _FILE.CHMOD),
    _path("fchmodat", _FILE.CHMOD, dirfd=0, path=1),
    _path("fchmodat2", _FILE.CHMOD, dirfd=0, path=1),
    _path("chown", _FILE.CHOWN),
    _path("lchown", _FILE.CHOWN),
    _path("fchownat", _FILE.CHOWN, dirfd=0, path=1),
    _path("utime", _FILE.UTIME),
    _path("utimes", _FILE.UTIME),
    _path("futimesat", _FILE.UTIME, dirfd=0, path=1),
    _path("utimensat", _FILE.UTIME, dirfd=0, path=1),
    _path("truncate", _FILE.TRUNCATE),
    *(_path(name, _FILE.XATTR) for name in ("setxattr", "lsetxattr", "removexattr", "lremovexattr")),
    _path("setxattrat", _FILE.XATTR, dirfd=0, path=1),
    _path("removexattrat", _FILE.XATTR, dirfd=0, path=1),
    _paths("rename", _FILE.UNLINK, path=0, path2=1),
    _paths("renameat", _FILE.UNLINK, dirfd=0, path=1, dirfd2=2, path2=3),
    _paths("renameat2", _FILE.UNLINK, dirfd=0, path=1, dirfd2=2, path2=3, flags=4, flag_mask=7),
    _paths("link", _FILE.LINK, path=0, path2=1),
    _paths("linkat", _FILE.LINK, dirfd=0, path=1, dirfd2=2, path2=3),
    _paths("mount", _FILE.STAT, path=0, path2=1),
    _paths("move_mount", _FILE.STAT, dirfd=0, path=1, dirfd2=2, path2=3),
    _paths("pivot_root", _FILE.STAT, path=0, path2=1),
    _socket("socket", Kind.SOCKET, SocketOperation.CREATE),
    _socket("socketpair", Kind.SOCKET, SocketOperation.CREATE),
    _socket("bind", Kind.ADDRESS, SocketOperation.BIND, _FILE.MKSOCK),
    _socket("connect", Kind.ADDRESS, SocketOperation.CONNECT, _FILE.CONNECT),
    _socket("sendto", Kind.ADDRESS, SocketOperation.SEND, _FILE.CONNECT),
    _socket("sendmsg", Kind.MESSAGE, SocketOperation.SEND, _FILE.CONNECT),
    _socket("sendmmsg", Kind.MESSAGES, SocketOperation.SEND, _FILE.CONNECT),
    _socket("listen", Kind.LISTEN, SocketOperation.LISTEN),
)

CALLS: Final[Mapping[str, CallRow]] = {row.syscall: row for row in _ROWS}
"""Every call that is read, by name."""
