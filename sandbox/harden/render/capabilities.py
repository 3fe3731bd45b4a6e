"""Capability sets as the OCI runtime-spec writes them (`process.capabilities`, config.md)."""

from __future__ import annotations

import json
from typing import Final

from harden.model.profile import Profile
from harden.render.rendered import Limit, Rendered

__all__ = ["LIMITS", "SETS", "render_capabilities"]

LIMITS: Final = (Limit("everything but capabilities"),)
SETS: Final = ("bounding", "effective", "inheritable", "permitted", "ambient")


def render_capabilities(profile: Profile) -> Rendered:
    """All five sets hold what the profile grants, so that it survives an execve by any user."""
    names = sorted(capability.name for capability in profile.rights.all_capabilities())
    return Rendered(content=json.dumps(dict.fromkeys(SETS, names), indent=2).encode() + b"\n")
