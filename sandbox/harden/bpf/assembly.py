"""Pieces of filters that libseccomp cannot express: ranges of numbers, foreign architectures, and their dispatch.

Every piece is a list of instructions that jumps only inside itself or falls through at its end, so pieces are joined by
concatenation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from harden.bpf.action import ALLOW, ENOSYS, Action
from harden.bpf.decision import NO_SYSCALL, Comparison, Condition, Table
from harden.bpf.instruction import (
    AND,
    JA,
    JEQ,
    JGE,
    JGT,
    LARGEST_JUMP,
    LOAD,
    NUMBER_OFFSET,
    RETURN,
    Instruction,
    argument_offset,
)

__all__ = ["Piece", "assemble_table", "gaps", "load_number", "refuse_ranges", "returning", "when"]

Piece = list[Instruction]

_WORD = 0xFFFFFFFF


def returning(action: Action) -> Piece:
    """Ends the filter."""
    return [Instruction(RETURN, action)]


def load_number() -> Piece:
    """A = the system call's number."""
    return [Instruction(LOAD, NUMBER_OFFSET)]


def when(code: int, k: int, block: Piece) -> Piece:
    """`block` if the comparison `code` of A with `k` holds; otherwise go on behind it."""
    if len(block) <= LARGEST_JUMP:
        return [Instruction(code, k, 0, len(block)), *block]
    return [Instruction(code, k, 1, 0), Instruction(JA, len(block)), *block]


def gaps(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The ranges below the highest of `numbers` that hold none of them, first and last."""
    ordered = [-1, *sorted(set(numbers))]
    return [(low + 1, high - 1) for low, high in pairwise(ordered) if high - low > 1]


def refuse_ranges(ranges: Sequence[tuple[int, int]], action: Action) -> Piece:
    """`action` for A in one of `ranges`."""
    return [each for low, high in ranges for each in when(JGE, low, _unless_above(high, returning(action)))]


def _unless_above(high: int, block: Piece) -> Piece:
    return [Instruction(JGT, high, len(block), 0), *block]


def assemble_table(table: Table) -> Piece:
    """All answers of one ABI as a binary tree over ranges of numbers; A holds the number on entry."""
    answers: dict[int, Piece] = {number: returning(action) for number, action in table.actions.items()}
    answers |= {number: _conditional(each, table.refused) for number, each in table.conditions.items()}
    starts = _starts(answers, returning(table.unknown))
    return _tree(list(starts.items()))


def _starts(answers: Mapping[int, Piece], unknown: Piece) -> dict[int, Piece]:
    """The first number of each range of numbers that share an answer."""
    edges = sorted({0, NO_SYSCALL, *answers, *(number + 1 for number in answers if number < _WORD)})
    starts: dict[int, Piece] = {}
    previous: Piece | None = None
    for number in edges:
        piece = returning(ENOSYS) if number == NO_SYSCALL else answers.get(number, unknown)
        if piece != previous:
            starts[number] = previous = piece
    return starts


def _tree(leaves: Sequence[tuple[int, Piece]]) -> Piece:
    if len(leaves) == 1:
        return leaves[0][1]
    middle = len(leaves) // 2
    lower, upper = _tree(leaves[:middle]), _tree(leaves[middle:])
    # The lower half always returns, so what is not skipped never runs into the upper half.
    split = leaves[middle][0]
    if len(lower) <= LARGEST_JUMP:
        return [Instruction(JGE, split, len(lower), 0), *lower, *upper]
    return [Instruction(JGE, split, 0, 1), Instruction(JA, len(lower)), *lower, *upper]


def _conditional(conditions: Sequence[Condition], refused: Action) -> Piece:
    piece: Piece = []
    for condition in conditions:
        block = returning(ALLOW)
        for comparison in reversed(condition):
            block = _compare(comparison, block)
        piece += block
    return piece + returning(refused)


def _compare(comparison: Comparison, block: Piece) -> Piece:
    for high in (True, False):
        mask = comparison.mask >> 32 if high else comparison.mask & _WORD
        value = comparison.value >> 32 if high else comparison.value & _WORD
        if mask:
            load: Piece = [Instruction(LOAD, argument_offset(comparison.index, high=high))]
            if mask != _WORD:
                load.append(Instruction(AND, mask))
            block = load + when(JEQ, value, block)
    return block
