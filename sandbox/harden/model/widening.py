"""A right that a control can express only wider than the profile grants it."""

from __future__ import annotations

import msgspec

__all__ = ["Widening"]


class Widening(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What the profile asks for, what is granted for it, and why it cannot be narrower."""

    asked: str
    """A rule of the profile, such as `create /srv/db/data`."""
    granted: str
    """The wider right, such as `make_reg write_file beneath /srv/db`; empty when it is refused instead."""
    reason: str

    def __str__(self) -> str:
        return f"{self.asked}: {self.granted or 'refused'} ({self.reason})"
