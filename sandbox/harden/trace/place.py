"""Paths from what the kernel side sends: names leaf first, and strings as the program gave them."""

from __future__ import annotations

import posixpath
import re
from typing import Final

__all__ = ["below_descriptor", "folder_of", "is_by_descriptor", "join", "names_of_path", "own_name", "path_of_names"]

_BY_DESCRIPTOR: Final = re.compile(rb"^/(dev|proc/self)/fd/[0-9]+(?=/|$)")
"""As execveat(2) names a script that it was given by a descriptor, and a program itself."""


def path_of_names(names: bytes) -> bytes:
    """The absolute path of names that come leaf first, each with its NUL; no names are the root."""
    return b"/" + b"/".join(reversed(names.split(b"\0")[:-1]))


def names_of_path(path: bytes) -> bytes:
    """The names of an absolute path, leaf first, each with its NUL; nothing for the root and for no path."""
    return b"".join(name + b"\0" for name in reversed(path.split(b"/")) if name)


def join(base: bytes, name: bytes) -> bytes:
    """`name` below the folder `base`, without `//`, `.` and `..`.

    This is text only: where a folder before `..` is a symbolic link, the kernel goes elsewhere.
    """
    return posixpath.normpath(base.rstrip(b"/") + b"/" + name.lstrip(b"/"))


def folder_of(path: bytes) -> bytes:
    """The folder that holds `path`."""
    return posixpath.dirname(path)


def is_by_descriptor(path: bytes) -> bool:
    """Whether it begins with a descriptor, which is another file in each process."""
    return _BY_DESCRIPTOR.match(path) is not None


def below_descriptor(path: bytes) -> bytes:
    """What follows the descriptor in such a path; empty for the descriptor itself."""
    return _BY_DESCRIPTOR.sub(b"", path)


def own_name(names: bytes) -> bytes:
    """`memfd:NAME`, never something that could be taken for a path."""
    name = names.split(b"\0")[0]
    return name if name.startswith(b"memfd:") else b"memfd:" + name
