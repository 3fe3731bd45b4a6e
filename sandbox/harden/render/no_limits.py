"""What most formats say of the limits of a profile: nothing."""

from __future__ import annotations

from typing import Final

from harden.render.ability import has_limits
from harden.render.rendered import Limit

__all__ = ["NO_LIMITS"]

NO_LIMITS: Final = Limit("limits of memory, processes and open files", has_limits)
