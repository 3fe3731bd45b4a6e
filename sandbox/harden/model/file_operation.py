"""What can be done to a path, how the path was found out, and how it ended."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["ABSENT", "CAN_HAVE_WORKED", "OK", "PRESENT", "UNKNOWN", "FileOperation", "Resolution"]

OK: Final = "ok"
UNKNOWN: Final = "unknown"
"""A recorder that sees no results: the call was made, and when the recorder looked, nothing stood in its way."""
ABSENT: Final = "absent"
"""The same, but nothing was there that could be reached; for what makes a name, not even the folder was."""
PRESENT: Final = "present"
"""The same, for a call that only makes what is not there, or does not follow links: something was."""
CAN_HAVE_WORKED: Final = frozenset({OK, UNKNOWN})


class FileOperation(enum.StrEnum):
    """What was done to a path. The same words are the file rights of a profile."""

    STAT = "stat"
    """Looked at: stat, access, readlink, open with O_PATH, chdir."""
    LIST = "list"
    """A folder's entries were read."""
    READ = "read"
    WRITE = "write"
    APPEND = "append"
    """Opened for writing with O_APPEND only."""
    TRUNCATE = "truncate"
    CREATE = "create"
    """A regular file came into being."""
    MKDIR = "mkdir"
    SYMLINK = "symlink"
    MKSOCK = "mksock"
    MKFIFO = "mkfifo"
    MKNOD = "mknod"
    UNLINK = "unlink"
    """A name of anything but a folder went away (also the source of a rename)."""
    RMDIR = "rmdir"
    REFER = "refer"
    """Renamed or linked into or out of another folder (Landlock's word)."""
    LINK = "link"
    """The new name of a hard link."""
    LOCK = "lock"
    CHMOD = "chmod"
    CHOWN = "chown"
    UTIME = "utime"
    XATTR = "xattr"
    IOCTL = "ioctl"
    """ioctl on a device node."""
    EXEC = "exec"
    MAP = "map"
    """Mapped executable: a shared library."""
    CONNECT = "connect"
    """Connected to as a UNIX socket."""


class Resolution(enum.StrEnum):
    """How a path was found out."""

    OBJECT = "object"
    """From the kernel's own file object: symlinks, folders and chroots are resolved."""
    LEXICAL = "lexical"
    """The name as the program gave it, joined to the folder it was relative to."""
    LOOKED_UP = "looked-up"
    """Where the name led when the recorder followed it, before the call: another thread may have changed it since."""
