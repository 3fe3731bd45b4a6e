"""What the kernel side is told before it is loaded: whom to record, and how to read which call."""

from __future__ import annotations

import struct
from typing import Final

from harden.model.arch import Arch
from harden.model.syscall import numbers
from harden.model.syscall_argument import ARGUMENT_ROWS, POINTED_ROWS, ArgumentRow
from harden.trace.also import ALSO, AlsoRow
from harden.trace.calls import CALLS, CallRow, Condition, Kind
from harden.trace.descriptors import DESCRIPTOR_TRAITS
from harden.trace.layout import COMBINATIONS, SYSCALLS
from harden.trace.waits import WAITS, WaitRow

__all__ = ["encode_config"]

_ARGUMENTS: Final = 3
_HEADER: Final = struct.Struct("=QQIIII")
_CALL: Final = struct.Struct("=8BIBB2x")
_ARGUMENT: Final = struct.Struct("=3Q3BBB3x")
_TRAIT_ARGUMENTS: Final = 1
_TRAIT_EXIT: Final = 2
_TRAIT_WAIT: Final = 4
_TRAIT_STACK: Final = 128
_KEEP_STACK: Final = frozenset(
    {
        "execve",
        "execveat",
        "kill",
        "pidfd_send_signal",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "tgkill",
        "tkill",
    }
)
"""An exec replaces the stack before anything is known of it; signals are seen with interrupts off."""


def encode_config(
    *,
    arch: Arch,
    cgroup_id: int,
    seed: int,
    combinations: int = COMBINATIONS,
    is_ready_told: bool = False,
    refusals: bool = False,
    stacks: bool = False,
) -> bytes:
    """`struct recorder_config` for one recorder. `seed` (64 bits) makes path hashes unpredictable to the program.

    `is_ready_told`: the phase `serving` begins when user space says so, and not where a thread first waits.
    `refusals`: what seccomp filters refuse is told too. `stacks`: so are the user stacks of what is new.
    """
    known = {number: name for name, number in numbers(arch).items() if number < SYSCALLS}
    calls, arguments, traits = bytearray(), bytearray(), bytearray()
    for number in range(SYSCALLS):
        name = known.get(number, "")
        call, wait, also = CALLS.get(name), WAITS.get(name), ALSO.get(name)
        argument = ARGUMENT_ROWS.get(name) or POINTED_ROWS.get(name)
        calls += _encode_wait(wait) if wait and not call else _encode_call(call, also)
        arguments += _encode_argument(argument) if argument else bytes(_ARGUMENT.size)
        traits.append(
            (_TRAIT_EXIT if call or (also and also.is_rare) else 0)
            | (_TRAIT_ARGUMENTS if argument else 0)
            | (_TRAIT_WAIT if wait else 0)
            | DESCRIPTOR_TRAITS.get(name, 0)
            | (_TRAIT_STACK if name in _KEEP_STACK else 0)
        )
    header = _HEADER.pack(cgroup_id, seed, combinations, is_ready_told, refusals, stacks)
    return header + bytes(calls) + bytes(arguments) + bytes(traits)


def _encode_call(row: CallRow | None, also: AlsoRow | None) -> bytes:
    besides = (also.also, also.at, also.flags) if also else (0, 0, 0)
    if row is None:
        return _CALL.pack(Kind.NONE, *(0,) * 5, Condition.ALWAYS, besides[0], 0, *besides[1:])
    positions = (row.path, row.dirfd, row.flags, row.path2, row.dirfd2)
    return _CALL.pack(row.kind, *positions, row.condition, besides[0], row.flag_mask, *besides[1:])


def _encode_wait(row: WaitRow) -> bytes:
    unused = (Kind.NONE, row.descriptors, 0, 0, 0, 0)
    return _CALL.pack(*unused, Condition.LISTENING if row.needs_listening else Condition.ALWAYS, 0, 0, 0, 0)


def _encode_argument(row: ArgumentRow) -> bytes:
    if len(row.arguments) > _ARGUMENTS:
        raise ValueError(f"{row.syscall}: at most {_ARGUMENTS} arguments are recorded")
    missing = (0,) * (_ARGUMENTS - len(row.arguments))
    masks = (*(argument.mask for argument in row.arguments), *missing)
    positions = (*(argument.index for argument in row.arguments), *missing)
    return _ARGUMENT.pack(*masks, *positions, len(row.arguments), row.syscall in POINTED_ROWS)
