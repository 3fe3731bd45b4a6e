"""What every renderer gives: the file, and what its format could not say."""

from __future__ import annotations

import msgspec

__all__ = ["Rendered"]


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a profile."""

    content: bytes
    """The file, byte for byte."""
    warnings: tuple[str, ...] = ()
    """One sentence for each point where the output grants more or less than the profile."""
