"""What every renderer gives: the file, and what its format could not say."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from harden.model.profile import Profile

__all__ = ["Limit", "Rendered", "always"]


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a profile."""

    content: bytes
    """The file, byte for byte."""
    warnings: tuple[str, ...] = ()
    """One sentence for each point where the output grants more or less than the profile."""


def always(_profile: Profile) -> bool:
    """Of every profile."""
    return True


class Limit(msgspec.Struct, frozen=True):
    """What a format cannot express: a row of the README's table, and a warning where a profile needs it."""

    text: str
    applies: Callable[[Profile], bool] = always
    """Whether this profile says something that the format then does not."""
