"""Warnings from widenings: one sentence for each refusal, and one for all rights that are wider for the same reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from harden.model.widening import Widening

__all__ = ["summarize"]

_NAMED: Final = 3
"""How many examples a warning gives."""


def summarize(widenings: Iterable[Widening]) -> Iterator[str]:
    """The warnings, in a stable order."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for widening in widenings:
        if widening.granted:
            by_reason[widening.reason].append(widening.granted)
        else:
            yield str(widening)
    for reason, granted in sorted(by_reason.items()):
        few = "; ".join(sorted(set(granted))[:_NAMED])
        more = len(set(granted)) - _NAMED
        yield f"wider than the profile: {few}{f' and {more} more' if more > 0 else ''} ({reason})"
