"""What `harden doctor` found out about one feature of the host."""

from __future__ import annotations

import msgspec

__all__ = ["HostFeature"]


class HostFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature, tried for real."""

    feature: str
    """Its name, a control's where it is one."""
    works: bool
    required: bool
    """A default profile or recording cannot do without it."""
    detail: str
    """What works (the Landlock ABI, the hooks in use) or the call that failed with its errno."""
    lost: str = ""
    """What harden cannot do without it."""
    fix: str = ""
    """The exact command or setting that brings it."""
