"""Where `-o` may write: never over what harden reads, nor under the name of a file that is harden's own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harden.errors import UsageError
from harden.folder import LOCAL_SUFFIX, PROFILE_SUFFIX, RECORDING_SUFFIX, VERIFIED_SUFFIX

__all__ = ["check_target"]

_OWN: Final = (PROFILE_SUFFIX, LOCAL_SUFFIX, RECORDING_SUFFIX, VERIFIED_SUFFIX, ".scenario.toml")
_HINT: Final = "name another file with -o"


def check_target(target: Path, inputs: Iterable[Path]) -> None:
    """UsageError for a `target` that is no file's name, is named as harden names its own files, or is one of `inputs`,
    under whatever name.
    """
    if target.name in ("", ".."):
        raise UsageError(f"-o {target}: is not the name of a file", hint=_HINT)
    for suffix in _OWN:
        if target.name.endswith(suffix):
            raise UsageError(f"-o {target}: *{suffix} is what harden reads, and is not replaced by this", hint=_HINT)
    for each in inputs:
        if _is_same(each, target):
            raise UsageError(f"-o {target}: is {each}, which was read", hint=_HINT)


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are there, and one file (st_dev and st_ino, inode(7))."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False
