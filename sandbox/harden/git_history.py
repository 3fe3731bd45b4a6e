"""Files of earlier commits, and when a file was last committed, as git knows it."""

from __future__ import annotations

import datetime
import os
import subprocess
from pathlib import Path
from typing import Final

from harden.errors import UnusableInput

__all__ = ["Revision", "committed"]

_GIT: Final = ("git", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false")

_REPOSITORY_VARIABLES: Final = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)


def _git(folder: Path, *arguments: str) -> bytes:
    """What git prints; UnusableInput with its own words when it fails."""
    # Inside a hook git says by variables which repository it means, and would not look at the folder then.
    own = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    environment = {**own, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    command = [*_GIT, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=environment)
    except (OSError, ValueError) as error:
        raise UnusableInput(f"git: cannot be run: {error}", hint="apt-get install git") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise UnusableInput(f"git {' '.join(arguments)}: {said or f'status {done.returncode}'}")
    return done.stdout


def _is_there(top: Path, name: str) -> bool:
    """Whether the file is still under that very name: what only a symbolic link leads to has moved."""
    path = top / name
    return path.is_file() and path.resolve() == top.resolve() / name


class Revision:
    """One commit of the repository that the current folder is in."""

    def __init__(self, name: str) -> None:
        """UnusableInput when git knows no such commit."""
        self.name = name
        if not name or name.startswith("-") or not name.isprintable():
            raise UnusableInput(f"git:{name}: is no name of a commit", hint="give git:origin/main, for example")
        try:
            found = _git(Path(), "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
        except UnusableInput as error:
            hint = "fetch it first; in GitHub Actions give actions/checkout `fetch-depth: 0`"
            if "dubious ownership" in error.message:
                hint = "git config --global --add safe.directory FOLDER"
            raise UnusableInput(f"git:{name}: {error.message}", hint=hint) from None
        self._commit = found.decode().strip()

    def read(self, path: Path, *, limit: int) -> bytes | None:
        """The bytes of the file at `path` in that commit; None when it had no such file."""
        return self._blob(_git(path.parent, "ls-tree", "-z", self._commit, "--", path.name), str(path), limit)

    def deleted(self, suffix: str) -> tuple[str, ...]:
        """The files of that commit that end in `suffix` and are gone now, as paths from the top of the repository."""
        top = Path(os.fsdecode(_git(Path(), "rev-parse", "--show-toplevel").removesuffix(b"\n")))
        names = os.fsdecode(_git(Path(), "ls-tree", "-r", "-z", "--name-only", "--full-tree", self._commit)).split("\0")
        return tuple(name for name in names if name.endswith(suffix) and not _is_there(top, name))

    def read_from_top(self, name: str, *, limit: int) -> bytes | None:
        """Like `read`, for a path from the top of the repository."""
        return self._blob(_git(Path(), "ls-tree", "-z", "--full-tree", self._commit, "--", name), name, limit)

    def _blob(self, listed: bytes, path: str, limit: int) -> bytes | None:
        if not listed:
            return None
        mode, kind, rest = listed.decode("utf-8", "replace").split(" ", 2)
        blob = rest.split("\t", 1)[0]
        if kind != "blob" or mode == "120000":
            raise UnusableInput(f"git:{self.name}:{path}: is not a regular file")
        size = int(_git(Path(), "cat-file", "-s", blob))
        if size > limit:
            raise UnusableInput(f"git:{self.name}:{path}: has {size} bytes; at most {limit} are read")
        return _git(Path(), "cat-file", "blob", blob)


def committed(path: Path, today: datetime.date) -> tuple[datetime.date | None, str]:
    """When `path` was last committed, `today` if it was changed since; None and half a sentence when nobody knows."""
    try:
        if _git(path.parent, "status", "--porcelain", "-z", "--", path.name):
            return today, ""
        if _git(path.parent, "rev-parse", "--is-shallow-repository").strip() == b"true":
            return None, "the clone is shallow (give actions/checkout `fetch-depth: 0`)"
        found = _git(path.parent, "log", "-1", "--format=%cs", "--", path.name).decode().strip()
    except UnusableInput as error:
        return None, error.message
    return (datetime.date.fromisoformat(found), "") if found else (None, "it was never committed")
