"""Delta debugging: which of many rights a workload does without (Zeller and Hildebrandt, 2002, `ddmin`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

__all__ = ["Reduction", "reduce_rights"]


class Reduction(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    removed: tuple[str, ...]
    """The workload passes without all of these together."""
    kept: tuple[str, ...]
    complete: bool
    """Every kept one was tried by itself, on top of all that was removed, and the workload failed without it."""
    trials: int


def reduce_rights(
    candidates: Sequence[str], passes: Callable[[frozenset[str]], bool], *, is_over: Callable[[], bool]
) -> Reduction:
    """Remove as many candidates as `passes`, which is given all that are removed at once, still accepts.

    Large groups are tried first, then halves of them, at last single ones until a whole round removes none. No trial
    is begun once `is_over` says so: what was removed until then holds.
    """
    removed: frozenset[str] = frozenset()
    kept = tuple(candidates)
    size, trials = max(1, len(kept)), 0
    while kept:
        shrunk = False
        for group in [kept[at : at + size] for at in range(0, len(kept), size)]:
            if is_over():
                return _reduction(candidates, removed, complete=False, trials=trials)
            trials += 1
            if passes(removed | set(group)):
                removed |= set(group)
                shrunk = True
        kept = tuple(each for each in kept if each not in removed)
        if size == 1 and not shrunk:
            break
        size = max(1, min(size // 2, len(kept)))
    return _reduction(candidates, removed, complete=True, trials=trials)


def _reduction(candidates: Sequence[str], removed: frozenset[str], *, complete: bool, trials: int) -> Reduction:
    return Reduction(
        removed=tuple(each for each in candidates if each in removed),
        kept=tuple(each for each in candidates if each not in removed),
        complete=complete,
        trials=trials,
    )
