"""What a filter answers: the 32-bit SECCOMP_RET_* values of linux/seccomp.h (seccomp(2))."""

from __future__ import annotations

import errno
from typing import Final, NewType

__all__ = ["ALLOW", "ENOSYS", "EPERM", "KILL_PROCESS", "KILL_THREAD", "Action", "describe", "errno_action"]

Action = NewType("Action", int)
"""The action in the upper 16 bits, its data (an errno) in the lower."""

_ERRNO_BASE: Final = 0x00050000
_ACTION_BITS: Final = 0xFFFF0000
_DATA_BITS: Final = 0x0000FFFF
_LARGEST_ERRNO: Final = 4095

KILL_THREAD: Final = Action(0x00000000)
KILL_PROCESS: Final = Action(0x80000000)
ALLOW: Final = Action(0x7FFF0000)


def errno_action(number: int) -> Action:
    """The action that refuses a call with errno `number` (1 to 4095; the kernel caps a larger one)."""
    if not 0 < number <= _LARGEST_ERRNO:
        raise ValueError(f"{number} is not an errno")
    return Action(_ERRNO_BASE | number)


EPERM: Final = errno_action(errno.EPERM)
ENOSYS: Final = errno_action(errno.ENOSYS)

_NAMES: Final = {
    0x80000000: "KILL_PROCESS",
    0x00000000: "KILL_THREAD",
    0x00030000: "TRAP",
    _ERRNO_BASE: "ERRNO",
    0x7FC00000: "USER_NOTIF",
    0x7FF00000: "TRACE",
    0x7FFC0000: "LOG",
    0x7FFF0000: "ALLOW",
}


def describe(action: int) -> str:
    """`ALLOW`, `KILL_PROCESS`, `ERRNO(EPERM)`; the number for what linux/seccomp.h does not name."""
    name, data = _NAMES.get(action & _ACTION_BITS), action & _DATA_BITS
    if name is None:
        return f"{action:#010x}"
    if name == "ERRNO":
        return f"ERRNO({errno.errorcode.get(data, data)})"
    return f"{name}({data})" if data else name
