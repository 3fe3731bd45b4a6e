"""What everything that was seen has in common."""

from __future__ import annotations

import msgspec

__all__ = ["Seen"]


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """One distinct thing that was seen; `executable` is the path text of the program that did it.

    Each kind ends with `phases`, the phases of the threads that did it, in their order, and `stack`, the number in
    `Run.stacks` of the user stack that it was first done from.
    """

    executable: str
