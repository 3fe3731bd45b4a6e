"""A name that a program looked up in the DNS."""

from __future__ import annotations

from harden.model.phase import INIT_ONLY, Phase
from harden.model.seen import Seen
from harden.model.stack import NO_STACK

__all__ = ["LookupSeen"]


class LookupSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """A name that a name server was asked for, and the addresses that it gave.

    Evidence for a person: it is what somebody on the network said, and no rule is made of it.
    """

    host: str
    """Letters, digits, `-`, `_` and dots: names with other bytes are not kept."""
    addresses: tuple[str, ...] = ()
    """Sorted; empty where there is none."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None
