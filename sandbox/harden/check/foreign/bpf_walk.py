"""Walks a seccomp program over every path that one call can take, with its arguments unknown.

Every answer found is confirmed by running the program on arguments that lead to it. What could not be confirmed, or
lies beyond the largest number of steps, makes the result incomplete and counts as getting through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from harden.bpf.action import KILL_THREAD
from harden.bpf.instruction import AND, JA, JEQ, JGT, JSET, LOAD, RETURN, Instruction
from harden.bpf.simulate import Arguments, Simulator, Suspended
from harden.check.foreign.bpf_value import WORD, Knowledge
from harden.check.passage import lets_through
from harden.check.subject import Reach

__all__ = ["LARGEST_ANALYSIS", "LARGEST_WALK", "Answers", "Walker"]

LARGEST_WALK: Final = 20_000
"""Steps that one walk may take, over all its paths."""
LARGEST_ANALYSIS: Final = 150_000
"""Steps that the walks of one program may take."""
_CONFIRMATION: Final = 20
"""Steps that confirming one answer counts for."""
_INSTRUCTION_POINTER: Final = 8
_WORDS: Final = range(_INSTRUCTION_POINTER, 64, 4)
_FIRST_ARGUMENT: Final = 16


class Answers(NamedTuple):
    """What a filter answers to one call, whatever its arguments."""

    actions: frozenset[int]
    """The answers that were confirmed."""
    complete: bool
    """False when there may be others."""

    @property
    def reach(self) -> Reach:
        """Whether the call gets through; an incomplete walk never ends in NEVER."""
        through = {lets_through(action) for action in self.actions}
        if not self.complete:
            return Reach.SOMETIMES if False in through else Reach.ALWAYS
        if len(through) == 2:
            return Reach.SOMETIMES
        return Reach.ALWAYS if True in through else Reach.NEVER


class _Masked(NamedTuple):
    """A register that holds the word at `offset` of struct seccomp_data, under a mask."""

    offset: int
    mask: int = WORD


_Register = int | _Masked | None
"""A number, a word of the call, or None for anything else."""


class _State(NamedTuple):
    pc: int
    a: _Register
    x: _Register
    memory: tuple[_Register, ...]
    known: dict[int, Knowledge]
    exact: bool
    """False after a jump on something that the walk does not follow: both ways were then taken."""


class Walker:
    """Walks one program; all its walks together take at most `LARGEST_ANALYSIS` steps."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._left = LARGEST_ANALYSIS

    def walk(self, arch: int, number: int) -> Answers:
        """Every answer to call `number` of AUDIT_ARCH `arch`."""
        begun = self._simulator.begin(arch, number)
        if not isinstance(begun, Suspended):
            return Answers(frozenset({int(begun)}), complete=True)
        actions: set[int] = set()
        complete = True
        pending = [_State(begun.pc, begun.a, begun.x, begun.memory, {}, exact=True)]
        budget = min(LARGEST_WALK, self._left)
        while pending:
            state = pending.pop()
            # Excluded values are searched one by one, so they count as steps too.
            budget -= 1 + sum(len(known.excluded) for known in state.known.values()) // 8
            if budget < 0:
                complete = False
                break
            each = self._simulator.program[state.pc]
            if each.code in (RETURN, 0x16):
                budget -= _CONFIRMATION
                answer = _confirmed(self._simulator, arch, number, state)
                expected = each.k if each.code == RETURN else state.a
                complete &= state.exact and answer is not None and answer == expected
                actions |= set() if answer is None else {answer}
                continue
            following = list(_step(state, each, arch, number))
            if not following and each.code & 0x07 == 0x04:
                # A division by zero: the kernel ends the program with 0.
                actions.add(int(KILL_THREAD))
            pending += following
        self._left -= min(LARGEST_WALK, self._left) - max(budget, 0)
        return Answers(frozenset(actions), complete)


def _step(state: _State, each: Instruction, arch: int, number: int) -> Iterator[_State]:
    code, k = each.code, each.k
    after = state._replace(pc=state.pc + 1)
    if code == JA:
        yield state._replace(pc=state.pc + 1 + k)
    elif code & 0x07 == 0x05:
        yield from _branch(state, each)
    elif code & 0x07 == 0x04:
        operand = state.x if code & 0x08 else k
        if code & 0xF0 == 0x30 and operand == 0:
            return
        # A divisor that is not known may be zero: `exact` falls, so that the result is not taken for complete.
        exact = state.exact and (code & 0xF0 != 0x30 or isinstance(operand, int))
        yield after._replace(a=_compute(code, state.a, operand), exact=exact)
    elif code == LOAD:
        yield after._replace(a=number & WORD if k == 0 else arch if k == 4 else _word(state, k))
    elif code in (0x02, 0x03):
        stored = state.a if code == 0x02 else state.x
        yield after._replace(memory=(*state.memory[:k], stored, *state.memory[k + 1 :]))
    elif code == 0x07:
        yield after._replace(x=state.a)
    elif code == 0x87:
        yield after._replace(a=state.x)
    else:
        loaded = state.memory[k] if code & 0xE0 == 0x60 else k if code & 0xE0 == 0x00 else 64
        yield after._replace(x=loaded) if code & 0x01 else after._replace(a=loaded)


def _word(state: _State, offset: int) -> _Register:
    known = state.known.get(offset)
    return known.value if known is not None and known.bits == WORD else _Masked(offset)


def _compute(code: int, a: _Register, operand: _Register) -> _Register:
    if code == AND and isinstance(a, _Masked) and isinstance(operand, int):
        return a._replace(mask=a.mask & operand) if a.mask & operand else 0
    if isinstance(a, int) and (isinstance(operand, int) or code & 0xF0 == 0x80):
        by = operand if isinstance(operand, int) else 0
        match code & 0xF0:
            case 0x00:
                return (a + by) & WORD
            case 0x10:
                return (a - by) & WORD
            case 0x20:
                return a * by & WORD
            case 0x30:
                return a // by
            case 0x40:
                return a | by
            case 0x50:
                return a & by
            case 0x60:
                return a << (by & 31) & WORD
            case 0x70:
                return a >> (by & 31)
            case 0x80:
                return -a & WORD
            case _:
                return a ^ by
    return None


def _branch(state: _State, each: Instruction) -> Iterator[_State]:
    operand = state.x if each.code & 0x08 else each.k
    kind = each.code & ~0x08
    targets = (state.pc + 1 + each.jt, state.pc + 1 + each.jf)
    if isinstance(state.a, int) and isinstance(operand, int):
        yield state._replace(pc=targets[0] if _holds(kind, state.a, operand) else targets[1])
        return
    if targets[0] == targets[1]:
        yield state._replace(pc=targets[0])
        return
    if not isinstance(state.a, _Masked) or not isinstance(operand, int):
        yield from (state._replace(pc=target, exact=False) for target in targets)
        return
    offset, mask = state.a
    known = state.known.get(offset, Knowledge())
    split = _split(known, kind, mask, operand)
    if split is None:
        yield from (state._replace(pc=target, exact=False) for target in targets)
        return
    for target, learned in zip(targets, split, strict=True):
        if learned is not None:
            yield state._replace(pc=target, known={**state.known, offset: learned})


def _split(known: Knowledge, kind: int, mask: int, operand: int) -> tuple[Knowledge | None, Knowledge | None] | None:
    """What is known where the comparison holds and where it does not; None when the walk cannot say."""
    if kind == JEQ:
        return known.masked_equal(mask, operand), known.masked_other(mask, operand)
    if kind == JSET:
        common = mask & operand
        return (known.touching(common) if common else None), known.masked_equal(common, 0)
    if mask != WORD:
        return None
    least = operand + 1 if kind == JGT else operand
    above = known.between(least, WORD) if least <= WORD else None
    return above, known.between(0, least - 1) if least else None


def _holds(kind: int, a: int, operand: int) -> bool:
    if kind == JEQ:
        return a == operand
    if kind == JSET:
        return a & operand != 0
    return a > operand if kind == JGT else a >= operand


def _confirmed(simulator: Simulator, arch: int, number: int, state: _State) -> int | None:
    """The program's answer on arguments that take this path; None when none were found."""
    words: dict[int, int] = {}
    for offset in _WORDS:
        word = state.known[offset].witness() if offset in state.known else 0
        if word is None:
            return None
        words[offset] = word
    pairs = [words[offset] | words[offset + 4] << 32 for offset in range(_FIRST_ARGUMENT, 64, 8)]
    arguments: Arguments = (pairs[0], pairs[1], pairs[2], pairs[3], pairs[4], pairs[5])
    pointer = words[_INSTRUCTION_POINTER] | words[_INSTRUCTION_POINTER + 4] << 32
    return int(simulator.run(arch, number, arguments, pointer))
