"""DWARF expressions in call frame information: the operators without branches (DWARF 5, 2.5; the x86-64 psABI).

Compilers use them where the stack is realigned, linkers for the PLT, the C library for signal frames.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from harden.trace.byte_reader import ByteReader, Malformed

__all__ = ["evaluate"]

_WORD: Final = (1 << 64) - 1
_DEEPEST: Final = 64
_CONSTANTS: Final = {
    0x08: (1, False),
    0x09: (1, True),
    0x0A: (2, False),
    0x0B: (2, True),
    0x0C: (4, False),
    0x0D: (4, True),
    0x0E: (8, False),
    0x0F: (8, True),
}
"""DW_OP_const1u to DW_OP_const8s: bytes, and whether signed."""


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _compare(is_so: Callable[[int, int], bool]) -> Callable[[int, int], int]:
    return lambda left, right: int(is_so(_signed(left), _signed(right)))


def _shift(move: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda left, right: move(left, min(right, 64))


_BINARY: Final[Mapping[int, Callable[[int, int], int]]] = {
    0x1A: operator.and_,
    0x1C: operator.sub,
    0x1E: operator.mul,
    0x21: operator.or_,
    0x22: operator.add,
    0x24: _shift(operator.lshift),
    0x25: _shift(operator.rshift),
    0x26: _shift(lambda left, right: _signed(left) >> right),
    0x27: operator.xor,
    0x29: _compare(operator.eq),
    0x2A: _compare(operator.ge),
    0x2B: _compare(operator.gt),
    0x2C: _compare(operator.le),
    0x2D: _compare(operator.lt),
    0x2E: _compare(operator.ne),
}
"""The operators of two operands: the first is the one below the top."""
_UNARY: Final[Mapping[int, Callable[[int], int]]] = {
    0x19: lambda value: abs(_signed(value)),
    0x1F: operator.neg,
    0x20: operator.invert,
}
_DEREF, _DUP, _DROP, _OVER, _SWAP, _PLUS_UCONST = 0x06, 0x12, 0x13, 0x14, 0x16, 0x23
_CONSTU, _CONSTS, _LIT0, _BREG0 = 0x10, 0x11, 0x30, 0x70
_REGISTERS: Final = 32


def evaluate(
    expression: bytes, registers: Mapping[int, int], load: Callable[[int], int], initial: int | None = None
) -> int:
    """The number that `expression` leaves on its stack, on which `initial` is at first.

    `load` reads 64 bits of memory. Raises Malformed for what cannot be evaluated, and what `load` raises.
    """
    reader = ByteReader(expression)
    stack = [] if initial is None else [initial]
    while reader:
        _step(reader.fixed(1), reader, stack, registers, load)
        if len(stack) > _DEEPEST:
            raise Malformed("an expression that goes too deep")
    if not stack:
        raise Malformed("an expression without a value")
    return stack[-1] & _WORD


def _step(
    code: int, reader: ByteReader, stack: list[int], registers: Mapping[int, int], load: Callable[[int], int]
) -> None:
    if _LIT0 <= code < _LIT0 + _REGISTERS:
        stack.append(code - _LIT0)
    elif _BREG0 <= code < _BREG0 + _REGISTERS:
        stack.append(_register(registers, code - _BREG0) + reader.signed() & _WORD)
    elif code in _CONSTANTS:
        size, signed = _CONSTANTS[code]
        stack.append(reader.fixed(size, signed=signed) & _WORD)
    elif code == _CONSTU:
        stack.append(reader.unsigned() & _WORD)
    elif code == _CONSTS:
        stack.append(reader.signed() & _WORD)
    else:
        _operate(code, reader, stack, load)


def _operate(code: int, reader: ByteReader, stack: list[int], load: Callable[[int], int]) -> None:
    top = _pop(stack)
    if code in _BINARY:
        stack.append(_BINARY[code](_pop(stack), top) & _WORD)
    elif code in _UNARY:
        stack.append(_UNARY[code](top) & _WORD)
    elif code == _DEREF:
        stack.append(load(top))
    elif code == _PLUS_UCONST:
        stack.append(top + reader.unsigned() & _WORD)
    elif code == _DUP:
        stack += [top, top]
    elif code in (_OVER, _SWAP):
        below = _pop(stack)
        stack += [below, top, below] if code == _OVER else [top, below]
    elif code != _DROP:
        raise Malformed(f"the operator {code:#x}")


def _pop(stack: list[int]) -> int:
    if not stack:
        raise Malformed("an operator without operands")
    return stack.pop()


def _register(registers: Mapping[int, int], number: int) -> int:
    if number not in registers:
        raise Malformed(f"register {number} is not known")
    return registers[number]
