"""The rights of a profile, divided among the programs that it confines."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harden.model.profile import Rights

__all__ = ["ProgramRights"]


class ProgramRights(msgspec.Struct, frozen=True, kw_only=True):
    """Each part is within the profile's rights; together they are all of them."""

    program: str
    """Path text of the workload's own program, links followed."""
    own: Rights
    """Its rights, and those of every program that is started and has no part of its own."""
    children: Mapping[str, Rights]
    """By path text of an executable that is started."""
