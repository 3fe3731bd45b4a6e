"""Finding a program the way execvp(3) does, before anything is set up for it."""

from __future__ import annotations

import os
import stat

from harden.errors import NotExecutable, ProgramNotFound

__all__ = ["find"]


def find(name: str, *, cwd: str, path: str) -> str:
    """The absolute path of the program `name`: looked up in `path` (as $PATH) unless it contains a slash.

    Raises ProgramNotFound (status 127) or NotExecutable (126). Symlinks stay as they are: argv[0] and the program's
    own view of its path must not change.
    """
    if not name:
        raise ProgramNotFound("the program's name is empty", hint="give its path, such as ./app")
    if "/" in name:
        found = os.path.normpath(os.path.join(cwd, name))
        _check(found, name)
        return found
    refused: NotExecutable | None = None
    for folder in path.split(":"):
        candidate = os.path.normpath(os.path.join(cwd, folder, name))
        try:
            _check(candidate, name)
        except ProgramNotFound:
            continue
        except NotExecutable as error:
            refused = refused or error
            continue
        return candidate
    if refused:
        raise refused
    raise ProgramNotFound(f"{name}: no such program in PATH", hint="give its path, such as ./app")


def _check(path: str, name: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise ProgramNotFound(f"{name}: no such file: {path}", hint="check the path") from None
    except (NotADirectoryError, PermissionError) as error:
        raise NotExecutable(f"{name}: stat({path!r}): {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise NotExecutable(f"{name}: {path} is a folder")
    if not os.access(path, os.X_OK):
        raise NotExecutable(f"{name}: {path} is not executable", hint=f"chmod +x {path}")
