"""What everything that was seen has in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeVar

import msgspec

from harden.model.stack import NO_STACK

__all__ = ["NOT_KNOWN", "First", "Seen", "earliest", "without_evidence"]


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """One distinct thing that was seen; `executable` is the path text of the program that did it.

    Each kind ends with `phases`, the phases of the threads that did it, in their order, and with three things of its
    first time: `stack`, the number in `Run.stacks` of the user stack that it was done from, `first_us`, the
    microseconds from the gate's opening until then by a clock that is never set, and `process`, the number of the
    process that did it as the sandbox has it. None: not known.
    """

    executable: str


S = TypeVar("S", bound=Seen)
_NO_EVIDENCE: Final = {"stack": NO_STACK, "first_us": None, "process": None}


class First(NamedTuple):
    """When something was first done, and by which process; both are as of `Seen`."""

    us: int | None
    process: int | None


NOT_KNOWN: Final = First(None, None)


def earliest(firsts: Iterable[First]) -> First:
    """The first of them, of those at one time that of the smallest number; NOT_KNOWN for none whose time is known."""
    return min((first for first in firsts if first.us is not None), key=_order, default=NOT_KNOWN)


def without_evidence(seen: Iterable[S]) -> Iterator[S]:
    """The same, as if nothing were known of their first time."""
    return (msgspec.structs.replace(each, **_NO_EVIDENCE) for each in seen)


def _order(first: First) -> tuple[int, int]:
    return first.us or 0, first.process or 0
