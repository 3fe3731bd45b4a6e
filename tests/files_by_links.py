"""What tests/programs/magic_links.c expects in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["READ", "prepare"]

READ: Final = frozenset(
    {"root", "cwd", "pid", "thread", "open", "near", "above", "tree/inner", "tree/linked", "tree/moved"}
)
"""What it reads; it also writes to "open", and makes "made"."""


def prepare(folder: Path) -> Path:
    """The files and links in `folder`."""
    (folder / "tree").mkdir()
    for name in READ:
        (folder / name).touch()
        (folder / name).chmod(0o666)
    (folder / "link").symlink_to("/proc/self/cwd/tree")
    (folder / "own").symlink_to("/proc/self")
    (folder / "round").symlink_to("round")
    return folder
