"""What the kernel demands of a seccomp program before it takes it: kernel/seccomp.c and net/core/filter.c.

A program that fails here would be refused with EINVAL by seccomp(2); every later reader can rely on what passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harden.bpf.instruction import JA, LARGEST_PROGRAM, LOAD, Instruction
from harden.errors import HardenError

__all__ = ["check_program"]

_DATA_SIZE: Final = 64
_MEMORY_WORDS: Final = 16
_RETURNS: Final = frozenset({0x06, 0x16})
_MEMORY_LOADS: Final = frozenset({0x60, 0x61})
_STORES: Final = frozenset({0x02, 0x03})
_JUMPS: Final = frozenset({0x15, 0x1D, 0x25, 0x2D, 0x35, 0x3D, 0x45, 0x4D})
_SHIFTS: Final = frozenset({0x64, 0x74})
_DIVIDE: Final = 0x34
_ARITHMETIC: Final = frozenset(operation | 0x04 for operation in (*range(0x00, 0x80, 0x08), 0xA0, 0xA8, 0x80))
_OTHERS: Final = frozenset({LOAD, 0x80, 0x81, 0x00, 0x01, 0x07, 0x87, JA})
_PERMITTED: Final = _RETURNS | _MEMORY_LOADS | _STORES | _JUMPS | _ARITHMETIC | _OTHERS


def check_program(program: Sequence[Instruction]) -> None:
    """Raises HardenError naming the first instruction that the kernel would refuse."""
    if not 0 < len(program) <= LARGEST_PROGRAM:
        raise _refused(f"it has {len(program)} instructions, not 1 to {LARGEST_PROGRAM}")
    for index, each in enumerate(program):
        problem = _problem(each, len(program) - index - 1)
        if problem is not None:
            raise _refused(f"instruction {index} ({each.code:#06x}, k {each.k:#x}): {problem}")
    if program[-1].code not in _RETURNS:
        raise _refused("its last instruction does not return")
    _check_memory(program)


def _problem(each: Instruction, remaining: int) -> str | None:
    code, k = each.code, each.k
    if code not in _PERMITTED:
        return "seccomp permits no such instruction"
    if code == LOAD and (k % 4 or k >= _DATA_SIZE):
        return "it loads from outside struct seccomp_data or across its words"
    if code in _JUMPS and max(each.jt, each.jf) >= remaining:
        return "it jumps out of the program"
    if code == JA and k >= remaining:
        return "it jumps out of the program"
    if code in _SHIFTS and k >= 32:
        return "it shifts by more than 31 bits"
    if code == _DIVIDE and k == 0:
        return "it divides by zero"
    if code in _MEMORY_LOADS | _STORES and k >= _MEMORY_WORDS:
        return f"there are only {_MEMORY_WORDS} memory words"
    return None


def _check_memory(program: Sequence[Instruction]) -> None:
    # As in the kernel: the words that are certainly written when an instruction is reached, over all forward jumps.
    everything = (1 << _MEMORY_WORDS) - 1
    at_entry = [everything] * len(program)
    written = 0
    for index, each in enumerate(program):
        written &= at_entry[index]
        code = each.code
        if code in _STORES:
            written |= 1 << each.k
        elif code in _MEMORY_LOADS and not written >> each.k & 1:
            raise _refused(f"instruction {index}: memory word {each.k} is read before it is written")
        elif code == JA:
            at_entry[index + 1 + each.k] &= written
            written = everything
        elif code in _JUMPS:
            at_entry[index + 1 + each.jt] &= written
            at_entry[index + 1 + each.jf] &= written
            written = everything


def _refused(reason: str) -> HardenError:
    return HardenError(
        f"the kernel would refuse this BPF program: {reason}",
        hint="if it came from a file, export it again; otherwise report the profile as a fault of harden",
    )
