"""Classic BPF instructions: `struct sock_filter` of linux/filter.h, as values, bytes and text.

The opcode is class | size or operation | mode or source, as linux/bpf_common.h defines them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from harden.bpf.action import describe
from harden.errors import HardenError

__all__ = [
    "AND",
    "ARCH_OFFSET",
    "INSTRUCTION_SIZE",
    "JA",
    "JEQ",
    "JGE",
    "JGT",
    "JSET",
    "LARGEST_JUMP",
    "LARGEST_PROGRAM",
    "LOAD",
    "NUMBER_OFFSET",
    "RETURN",
    "Instruction",
    "argument_offset",
    "decode",
    "disassemble",
    "encode",
]

INSTRUCTION_SIZE: Final = 8
LARGEST_PROGRAM: Final = 4096
"""BPF_MAXINSNS: what the kernel accepts in one filter."""
LARGEST_JUMP: Final = 255
"""A conditional jump's offset is 8 bits wide."""

LOAD: Final = 0x20
"""BPF_LD | BPF_W | BPF_ABS: A = the 32-bit word of struct seccomp_data at byte k."""
RETURN: Final = 0x06
JA: Final = 0x05
JEQ: Final = 0x15
JGT: Final = 0x25
JGE: Final = 0x35
JSET: Final = 0x45
AND: Final = 0x54

NUMBER_OFFSET: Final = 0
ARCH_OFFSET: Final = 4
_IP_OFFSET: Final = 8
_ARGUMENTS_OFFSET: Final = 16

_FORMAT: Final = struct.Struct("<HBBI")
_ALU: Final = {
    0x00: "add",
    0x10: "sub",
    0x20: "mul",
    0x30: "div",
    0x40: "or",
    0x50: "and",
    0x60: "lsh",
    0x70: "rsh",
    0xA0: "xor",
}
_JUMP: Final = {0x10: "jeq", 0x20: "jgt", 0x30: "jge", 0x40: "jset"}
_SINGLE: Final = {0x80: "ld len", 0x81: "ldx len", 0x84: "neg", 0x16: "ret a", 0x07: "tax", 0x87: "txa"}
_CONSTANT: Final = {
    0x00: "ld #{k:#x}",
    0x01: "ldx #{k:#x}",
    0x02: "st m[{k}]",
    0x03: "stx m[{k}]",
    0x60: "ld m[{k}]",
    0x61: "ldx m[{k}]",
}


class Instruction(NamedTuple):
    """One instruction; jump offsets count instructions from the next one."""

    code: int
    k: int = 0
    jt: int = 0
    jf: int = 0


def argument_offset(index: int, *, high: bool = False) -> int:
    """Where one half of argument `index` (0 to 5) lies in struct seccomp_data on a little-endian machine."""
    if not 0 <= index <= 5:
        raise ValueError(f"a system call has no argument {index}")
    return _ARGUMENTS_OFFSET + 8 * index + 4 * high


def encode(program: Iterable[Instruction]) -> bytes:
    """The program as seccomp(2) takes it, little-endian."""
    return b"".join(_FORMAT.pack(each.code, each.jt, each.jf, each.k) for each in program)


def decode(content: bytes) -> tuple[Instruction, ...]:
    """The inverse of `encode`; HardenError when `content` is no whole number of instructions."""
    if len(content) % INSTRUCTION_SIZE:
        raise HardenError(
            f"a BPF program of {len(content)} bytes is not made of whole instructions",
            hint=f"each instruction has {INSTRUCTION_SIZE} bytes: export the filter again",
        )
    return tuple(Instruction(code, k, jt, jf) for code, jt, jf, k in _FORMAT.iter_unpack(content))


def disassemble(program: Sequence[Instruction]) -> str:
    """One line per instruction: its index, the mnemonic, absolute jump targets, and what a constant means."""
    return "".join(f"{index:4}: {_text(index, each)}\n" for index, each in enumerate(program))


def _text(index: int, each: Instruction) -> str:
    code, k = each.code, each.k
    if code == LOAD:
        return f"ld [{k}]  ; {_field(k)}"
    if code == RETURN:
        return f"ret {k:#010x}  ; {describe(k)}"
    if code == JA:
        return f"ja {index + 1 + k}"
    if code in _SINGLE:
        return _SINGLE[code]
    if code in _CONSTANT:
        return _CONSTANT[code].format(k=k)
    operand = "x" if code & 0x08 else f"#{k:#x}"
    if code & 0x07 == 0x05 and code & 0xF0 in _JUMP:
        return f"{_JUMP[code & 0xF0]} {operand}, {index + 1 + each.jt}, {index + 1 + each.jf}"
    if code & 0x07 == 0x04 and code & 0xF0 in _ALU:
        return f"{_ALU[code & 0xF0]} {operand}"
    return f"unknown {code:#06x}, k {k:#x}"


def _field(offset: int) -> str:
    if offset == NUMBER_OFFSET:
        return "number"
    if offset == ARCH_OFFSET:
        return "arch"
    half = "high" if offset % 8 else "low"
    if offset < _ARGUMENTS_OFFSET:
        return f"instruction pointer, {half} half"
    return f"argument {(offset - _ARGUMENTS_OFFSET) // 8}, {half} half"
