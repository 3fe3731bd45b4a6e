"""Where something is judged: what goes wrong there says neither that it is clean nor that it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harden.errors import HardenError, UnusableInput, unforeseen

__all__ = ["unusable"]


@contextmanager
def unusable() -> Iterator[None]:
    """What goes wrong inside is something that could not be judged: UnusableInput."""
    try:
        yield
    except HardenError as problem:
        raise UnusableInput(problem.message, hint=problem.hint) from None
    except OSError as problem:
        raise UnusableInput(unforeseen(problem).message) from None
