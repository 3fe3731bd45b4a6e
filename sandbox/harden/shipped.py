"""The data files that come with harden: baselines, syscall families, schemas (`profiles/`) and `templates/`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["DATA", "names", "text"]

DATA: Final = Path(__file__).with_name("_data")
"""Holds `profiles/` and `templates/`: links to the top of the checkout, copies once installed."""


def text(name: str) -> str:
    """The content of one shipped file, such as `profiles/baseline.toml`; raises FileNotFoundError."""
    return _path(name).read_text(encoding="utf-8")


def names(folder: str, suffix: str = "") -> tuple[str, ...]:
    """The names of the files in one shipped folder that end in `suffix`, sorted."""
    return tuple(sorted(path.name for path in _path(folder).iterdir() if path.is_file() and path.name.endswith(suffix)))


def _path(name: str) -> Path:
    path = DATA / name
    if ".." in path.parts:
        raise ValueError(f"{name}: not the name of a shipped file")
    return path
