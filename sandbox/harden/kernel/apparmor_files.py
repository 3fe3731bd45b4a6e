"""The texts that AppArmor profiles include: abstractions and tunables, as the host has them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harden.errors import HardenError

__all__ = ["FOLDER", "read_texts"]

FOLDER: Final = Path("/etc/apparmor.d")
_PARTS: Final = ("abstractions", "tunables")
_LEFT_OUT: Final = (".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-bak", ".rpmnew", ".rpmsave", ".orig", ".rej", "~")
"""Endings of names that the parser does not include from a folder: apparmor_parser(8)."""


def read_texts(folder: Path) -> dict[str, str]:
    """Every file that can be included, by its name below `folder`; HardenError where one is not read."""
    texts: dict[str, str] = {}
    for part in _PARTS:
        for path in sorted((folder / part).rglob("*")):
            if path.name.startswith(".") or path.name.endswith(_LEFT_OUT) or not path.is_file():
                continue
            try:
                texts[str(path.relative_to(folder))] = path.read_text("utf-8")
            except OSError as error:
                raise HardenError(f'open("{path}"): {error.strerror}') from None
            except UnicodeDecodeError:
                raise HardenError(f"{path}: not UTF-8") from None
    if not texts:
        raise HardenError(
            f"{folder} has no abstractions", hint="apt-get install apparmor, or name another folder with --apparmor-dir"
        )
    return texts
