"""Signals to harden while a program is recorded: they are the program's."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from harden.launch.spawn import Sandbox

__all__ = ["forwarding"]

_FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def forwarding(sandbox: Sandbox) -> Iterator[list[int]]:
    """Pass signals that should end harden on to the program; yields the list of those that came."""
    received: list[int] = []

    def forward(number: int, _frame: object) -> None:
        received.append(number)
        # The program is in a process group of its own: what the keys of a terminal sent came to only one of the two.
        sandbox.signal(number)

    previous = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
