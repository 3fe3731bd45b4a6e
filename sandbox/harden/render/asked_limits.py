"""The limits that `trace` was given, in place of what was learned: numbers that each format writes in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.model.profile import Profile
from harden.model.resource_limit import LimitName

__all__ = ["UNLIMITED", "limits_of", "memory_and_swap", "rlimits_of"]

UNLIMITED: Final = 2**64 - 1
"""RLIM_INFINITY (getrlimit(2))."""


def limits_of(profile: Profile) -> dict[LimitName, int]:
    """The limits of the profile; what was asked for comes first, and a `--rlimit nofile=` is among `rlimits_of`."""
    isolation = profile.workload.isolation
    limits = profile.limits()
    asked = {LimitName.MEMORY: isolation.memory, LimitName.PIDS: isolation.pids}
    limits |= {name: most for name, most in asked.items() if most is not None}
    if any(limit.name == "nofile" for limit in isolation.rlimits):
        limits.pop(LimitName.NOFILE, None)
    return limits


def rlimits_of(profile: Profile, *, core: bool = True) -> Iterator[tuple[str, int, int]]:
    """Name, soft and hard limit in the unit of setrlimit(2).

    Core files are off unless they were asked for, which is left out without `core`.
    """
    asked = profile.workload.isolation.rlimits
    if core and not any(limit.name == "core" for limit in asked):
        yield "core", 0, 0
    for limit in asked:
        yield (
            limit.name,
            UNLIMITED if limit.soft is None else limit.soft,
            UNLIMITED if limit.hard is None else limit.hard,
        )


def memory_and_swap(profile: Profile) -> int | None:
    """The sum that engines and runtimes take for a limit of swap; None where there is none, or none of memory."""
    memory, swap = limits_of(profile).get(LimitName.MEMORY), profile.workload.isolation.swap
    return None if memory is None or swap is None else memory + swap
