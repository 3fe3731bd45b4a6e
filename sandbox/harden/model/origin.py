"""Where a rule of a profile comes from."""

from __future__ import annotations

import enum

__all__ = ["Origin"]


class Origin(enum.StrEnum):
    """The reason for one rule, in the order in which `show` lists them."""

    OBSERVED = "observed"
    """A recorded run did it."""
    BASELINE = "baseline"
    """Always needed, vDSO fall-backs included."""
    FAMILY = "family"
    """A sibling of an observed call, such as openat2 for openat."""
    RUNTIME = "runtime"
    """An OCI runtime's own need."""
    STATIC = "static"
    """Reachable in the program's code, never observed."""
    REFINED = "refined"
    """Added from a denial."""
    MANUAL = "manual"
    """Added by a person in NAME.local.toml."""
