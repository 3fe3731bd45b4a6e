"""One file rule of an AppArmor profile, before it is text."""

from __future__ import annotations

import msgspec

from harden.model.path_pattern import PathPattern
from harden.render.quoted import Quoted

__all__ = ["FileRule"]


class FileRule(msgspec.Struct, frozen=True, kw_only=True):
    """`owner PATH PERMISSIONS -> TARGET,` of apparmor.d(5)."""

    pattern: PathPattern
    suffix: str
    """The final slash of a folder, or nothing."""
    permissions: str
    owner: bool = False
    target: Quoted | None = None
    """The profile that an executable is started in, quoted."""

    def __str__(self) -> str:
        return f"{'owner ' if self.owner else ''}{self.pattern.text}{self.suffix} {self.permissions}"
