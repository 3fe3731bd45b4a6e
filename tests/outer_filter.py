"""A seccomp filter around harden itself, such as a container's: it hides features of the kernel."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

__all__ = ["refuse"]

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_FILTER_MODE = 2


def refuse(
    numbers: Sequence[int], errno: int, *, when: tuple[int, int] | None = None, no_new_privs: bool = True
) -> None:
    """From here on these system calls fail with `errno` in this process and its children; no calls: no filter.

    0: they succeed, and nothing is done. `when`: only where that argument, counted from 0, has that value (its low
    half). Without `no_new_privs` only root can do it.
    """
    if not numbers:
        return

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    instructions = [struct.pack("=HBBI", 0x20, 0, 0, 0)]
    instructions += [struct.pack("=HBBI", 0x15, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    instructions += [struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)]
    if when is not None:
        index, value = when
        instructions += [struct.pack("=HBBI", 0x20, 0, 0, 16 + 8 * index), struct.pack("=HBBI", 0x15, 1, 0, value)]
        instructions += [struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)]
    instructions += [struct.pack("=HBBI", 0x06, 0, 0, 0x50000 | errno)]
    code = ctypes.create_string_buffer(b"".join(instructions))
    program = Program(len(instructions), ctypes.cast(code, ctypes.c_void_p).value)
    libc = ctypes.CDLL(None, use_errno=True)
    first = ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),) if no_new_privs else ()
    for arguments in (*first, (_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program))):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "prctl")
