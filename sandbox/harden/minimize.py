"""The minimizing workflow: the workload again and again, each time without some of its rights."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from harden.errors import HardenError, UsageError
from harden.generate.reduction import Reduction, reduce_rights
from harden.model.local_merge import merge_local
from harden.model.origin import Origin
from harden.model.profile import LOCAL_FORMAT, Local, LocalRemoval, Profile
from harden.profile_source import shipped_baseline
from harden.verify import Rerun

__all__ = ["KINDS", "minimize", "removal_of"]

KINDS: Final = ("capabilities", "syscalls")
_NAMED: Final = 3
_NOT_FROM_A_RUN: Final = frozenset({Origin.BASELINE, Origin.RUNTIME})
"""Needed in circumstances that no rerun shows."""


def removal_of(kind: str, names: tuple[str, ...]) -> LocalRemoval:
    """The names as rights to remove; UsageError for an unknown kind."""
    if kind == "capabilities":
        return LocalRemoval(capabilities=names)
    if kind == "syscalls":
        return LocalRemoval(syscalls=names)
    raise UsageError(f"--minimize {kind!r}: cannot be minimized", hint=f"one of {', '.join(KINDS)}")


def minimize(
    rerun: Rerun, kind: str, generated: Profile, local: Local | None, *, budget_s: float, tell: Callable[[str], None]
) -> Reduction:
    """Find out which of the generated rights of a kind the workload passes without, for `budget_s` seconds at most.

    Raises HardenError when the workload fails even with all of them, or not always without those that were removed.
    """
    candidates = _candidates(kind, generated, local)
    usual = [rerun.attempt(rerun.profile) for _ in range(2)]
    if any(each.failure for each in usual):
        raise HardenError(
            f"nothing can be learned from removing rights: with all of them {max(each.failure for each in usual)}",
            hint="harden verify says why, harden refine adds what is missing",
        )
    is_steady = usual[0].output == usual[1].output
    if not is_steady:
        tell("what the program prints changes from run to run: only its status and its scenario tell whether it works")
    deadline = time.monotonic() + budget_s

    def passes(removed: frozenset[str]) -> bool:
        trial = rerun.attempt(_without(rerun.profile, kind, tuple(sorted(removed))))
        passed = not trial.failure and (not is_steady or trial.output == usual[0].output)
        shown = ", ".join(sorted(removed)) if len(removed) <= _NAMED else f"{len(removed)} {kind}"
        tell(f"without {shown}: {'passes' if passed else 'fails'}")
        return passed

    found = reduce_rights(candidates, passes, is_over=lambda: time.monotonic() > deadline)
    if found.removed and not passes(frozenset(found.removed)):
        raise HardenError(
            f"the workload does not always pass without {', '.join(found.removed)}: nothing is certain",
            hint="give it a scenario that tells working from failing every time",
        )
    return found


def _candidates(kind: str, generated: Profile, local: Local | None) -> tuple[str, ...]:
    """What the generated profile grants because a run needed it, neither baseline nor named in the user's own file."""
    by_origin = generated.rights.capabilities if kind == "capabilities" else generated.rights.syscalls
    spoken = {name for entry in shipped_baseline().syscalls for name in entry.names}
    for each in (local.add, local.refined, local.remove) if local else ():
        spoken |= {*each.syscalls, *each.capabilities, *each.arguments}
    return tuple(
        sorted(
            name
            for origin, names in by_origin.items()
            if origin not in _NOT_FROM_A_RUN
            for name in names
            if name not in spoken
        )
    )


def _without(profile: Profile, kind: str, names: tuple[str, ...]) -> Profile:
    return merge_local(profile, Local(format=LOCAL_FORMAT, remove=removal_of(kind, names)))
