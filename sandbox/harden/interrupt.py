"""SIGINT to harden itself: one line and status 130, whatever it is about. A command that may have to clean up gets a
KeyboardInterrupt."""

from __future__ import annotations

# `signal` is this with enums around it, whose import takes as long as a start from a kept plan.
import _signal  # type: ignore[import-not-found]
import os
import sys

__all__ = ["Raised", "end_at_interrupt"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from typing import NoReturn

_STATUS = 130
_STDERR = 2


def _end(_number: int, _frame: object) -> NoReturn:
    try:
        os.write(_STDERR, b"harden: interrupted\n")
    finally:
        os._exit(_STATUS)


def _unraisable(what: UnraisableHookArgs) -> None:
    """The interrupt came to a callback of the interpreter's own, which could only print a traceback and go on."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        _end(_signal.SIGINT, None)
    sys.__unraisablehook__(what)


def end_at_interrupt(*, unblock: bool) -> None:
    """From here on SIGINT, if not ignored, ends harden. `unblock` it then, for this process and for its children."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _end)
        sys.unraisablehook = _unraisable
    if unblock:
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGINT])


class Raised:
    """Inside this SIGINT raises KeyboardInterrupt, where it would end harden."""

    def __enter__(self) -> None:
        self._ends = _signal.getsignal(_signal.SIGINT) is _end
        if self._ends:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        if self._ends:
            _signal.signal(_signal.SIGINT, _end)
