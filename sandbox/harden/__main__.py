"""The `harden` command, and `python -m harden`. A plan that is known already is started before anything is imported."""

from __future__ import annotations

import sys

from harden.interrupt import end_at_interrupt
from harden.kernel.caller import note_caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run one command of `harden.cli`."""
    # Before anything that could hand the mask of signals or the environment on.
    end_at_interrupt(unblock=note_caller())
    if sys.argv[1:2] == ["run"]:
        from harden.launch import cached_plan

        entry = cached_plan.find(sys.argv[1:])
        if entry is not None:
            cached_plan.start(entry)
    from harden.cli import main as cold

    cold()


if __name__ == "__main__":
    main()
