"""Interpreters of scripts that are scripts themselves: the kernel follows `#!` and tells only the ends (execve(2))."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable
from typing import Final

from harden.model.path_text import to_text
from harden.model.recording import ExecutableSeen, FileOperation, FileSeen, Resolution
from harden.trace.decode import Program

__all__ = ["describe_interpreters", "interpreters"]

_DEEPEST: Final = 5
"""The kernel gives up with ELOOP beyond (fs/exec.c)."""
_LINE: Final = 256
"""Bytes of a file that the kernel looks at (BINPRM_BUF_SIZE)."""
_NAME: Final = re.compile(rb"#![ \t]*([^ \t\n\0]+)")

Resolve = Callable[[bytes], bytes | None]


def interpreters(script: bytes, resolve: Resolve | None) -> tuple[bytes, ...]:
    """The names after `#!` from `script` on: the last is of a program, those before it of scripts.

    A relative name ends it, because the folder that it was relative to is not known.
    """
    found: list[bytes] = []
    while len(found) < _DEEPEST:
        match = _NAME.match(_first_line(found[-1] if found else script, resolve))
        if match is None or not match[1].startswith(b"/"):
            break
        found.append(posixpath.normpath(match[1]))
    return tuple(found)


def _first_line(path: bytes, resolve: Resolve | None) -> bytes:
    """The start of the file; nothing where it is not known any more."""
    host = (resolve(path) or resolve(os.path.realpath(path))) if resolve else None
    if host is None:
        return b""
    try:
        with open(host, "rb") as file:
            return file.read(_LINE)
    except OSError:
        return b""


def describe_interpreters(
    programs: Iterable[Program], resolve: Resolve | None
) -> tuple[tuple[FileSeen, ...], tuple[ExecutableSeen, ...]]:
    """What interpreters that scripts name were used for, and those that are scripts, as far as files still say so."""
    files: set[FileSeen] = set()
    scripts: dict[str, ExecutableSeen] = {}
    for program in programs:
        if program.path == program.file or not program.path.startswith(b"/"):
            continue
        *between, last = interpreters(program.path, resolve) or (program.file,)
        user = to_text(program.path)
        for script in between:
            path = to_text(script)
            files |= {_seen(user, path, FileOperation.EXEC), _seen(user, path, FileOperation.READ)}
            scripts[path] = ExecutableSeen(path=path, interpreter=to_text(program.file))
        if last != program.file:
            files.add(_seen(user, to_text(last), FileOperation.STAT))
    return tuple(sorted(files)), tuple(scripts.values())


def _seen(executable: str, path: str, operation: FileOperation) -> FileSeen:
    return FileSeen(
        executable=executable,
        path=path,
        operation=operation,
        resolution=Resolution.LEXICAL,
        syscall="execve",
        count=1,
    )
