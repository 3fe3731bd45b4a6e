"""What the command `harden` (_native/start) saw and did before there was an interpreter, and tells its Python part.

That takes a hundred times as long to start as the command: who started harden can be gone by then. And SIGINT would end
a starting interpreter with a traceback, so the command blocks it (sigprocmask(2)) for as long; and keeps it from adding
to the environment, which is the caller's.
"""

from __future__ import annotations

import os

__all__ = ["note_caller", "parent"]

_VARIABLE = "HARDEN_CALLER"
"""Number of the parent; behind it BLOCKED where SIGINT was not blocked, and SETTLED where _LOCALE was not set."""
_BLOCKED = "SIGINT"
_SETTLED = "LOCALE"
_LOCALE = "PYTHONCOERCECLOCALE"


class _Noted:
    parent = -1


def note_caller() -> bool:
    """Note which process started harden, for parent(), and take what the command added out of the environment: no
    process after this one has it. True when SIGINT is to be unblocked, as it was for the command."""
    number, *done = os.environ.pop(_VARIABLE, "").split(" ")
    if _SETTLED in done:
        os.environ.pop(_LOCALE, None)
    is_number = number.isascii() and number.isdecimal() and len(number) <= 10
    _Noted.parent = int(number) if is_number else os.getppid()
    return _BLOCKED in done


def parent() -> int:
    """The process that started harden: getppid(2) when harden began, 0 when it is outside this pid namespace."""
    return os.getppid() if _Noted.parent < 0 else _Noted.parent
