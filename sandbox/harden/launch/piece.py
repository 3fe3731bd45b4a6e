"""Cloned mounts that wait for their places."""

from __future__ import annotations

from harden.launch.ops import Flag

__all__ = ["Piece", "moved"]


class Piece:
    """A cloned mount that waits in `slot` for its place."""

    __slots__ = ("flags", "slot", "target")

    def __init__(self, slot: int, target: bytes, flags: Flag) -> None:
        self.slot = slot
        self.target = target
        self.flags = flags


def moved(path: bytes, source: bytes, target: bytes) -> bytes:
    """Where `path`, which is below `source`, is when `source` is shown at `target`."""
    return target.rstrip(b"/") + path[len(source.rstrip(b"/")) :] or b"/"
