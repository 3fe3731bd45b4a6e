"""Runs a seccomp program as the kernel does, on any (arch, number, instruction pointer, arguments)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from harden.bpf.action import KILL_THREAD, Action
from harden.bpf.admission import check_program
from harden.bpf.instruction import AND, JA, JEQ, JGE, JGT, JSET, LOAD, RETURN, Instruction

__all__ = ["Arguments", "Simulator", "Suspended"]

Arguments = tuple[int, int, int, int, int, int]

_WORD: Final = 0xFFFFFFFF
_DATA_SIZE: Final = 64
_FIRST_VARIABLE_WORD: Final = 2
"""Words 0 and 1 of struct seccomp_data are the number and the arch; from 2 on it is the instruction pointer."""


class Suspended(NamedTuple):
    """A run that stopped at its first load of something other than arch and number."""

    pc: int
    a: int
    x: int
    memory: tuple[int, ...]


class Simulator:
    """One program, checked as the kernel checks it; raises HardenError for a program that the kernel would refuse."""

    def __init__(self, program: Sequence[Instruction]) -> None:
        check_program(program)
        self.program = tuple(program)

    def run(self, arch: int, number: int, arguments: Arguments = (0, 0, 0, 0, 0, 0), ip: int = 0) -> Action:
        """What the filter answers to one call."""
        done = self._execute(_words(arch, number, arguments, ip), Suspended(0, 0, 0, (0,) * 16), pause=False)
        assert not isinstance(done, Suspended)
        return done

    def begin(self, arch: int, number: int) -> Action | Suspended:
        """The answer, if it depends on arch and number alone; otherwise the state that `finish` goes on from."""
        return self._execute([number & _WORD, arch & _WORD], Suspended(0, 0, 0, (0,) * 16), pause=True)

    def finish(self, state: Suspended, arch: int, number: int, arguments: Arguments, ip: int = 0) -> Action:
        """The answer to one call that `begin` could not give."""
        done = self._execute(_words(arch, number, arguments, ip), state, pause=False)
        assert not isinstance(done, Suspended)
        return done

    def reachable(self, state: Suspended) -> Iterator[Instruction]:
        """The instructions that a suspended run may still execute, each once, in program order."""
        seen = {state.pc}
        for index in range(state.pc, len(self.program)):
            if index not in seen:
                continue
            each = self.program[index]
            yield each
            if each.code == JA:
                seen.add(index + 1 + each.k)
            elif each.code & 0x07 == 0x05:
                seen.update((index + 1 + each.jt, index + 1 + each.jf))
            elif each.code & 0x07 != 0x06:
                seen.add(index + 1)

    def _execute(self, words: Sequence[int], state: Suspended, *, pause: bool) -> Action | Suspended:
        program = self.program
        pc, a, x, memory = state.pc, state.a, state.x, state.memory
        while True:
            code, k, jt, jf = program[pc]
            pc += 1
            if code == JEQ:
                pc += jt if a == k else jf
            elif code == JGE:
                pc += jt if a >= k else jf
            elif code == JGT:
                pc += jt if a > k else jf
            elif code == LOAD:
                if pause and k >= 4 * _FIRST_VARIABLE_WORD:
                    return Suspended(pc - 1, a, x, memory)
                a = words[k >> 2]
            elif code == RETURN:
                return Action(k)
            elif code == AND:
                a &= k
            elif code == JA:
                pc += k
            elif code == JSET:
                pc += jt if a & k else jf
            elif code == 0x16:
                return Action(a)
            elif code & 0x07 == 0x05:
                pc += jt if _holds(code, a, x) else jf
            elif code & 0x07 == 0x04:
                operand = x if code & 0x08 else k
                if code & 0xF0 == 0x30 and operand == 0:
                    # A division by zero ends the program with 0.
                    return KILL_THREAD
                a = _compute(code & 0xF0, a, operand)
            elif code in (0x02, 0x03):
                memory = (*memory[:k], a if code == 0x02 else x, *memory[k + 1 :])
            elif code == 0x07:
                x = a
            elif code == 0x87:
                a = x
            elif code & 0x01:
                x = memory[k] if code == 0x61 else k if code == 0x01 else _DATA_SIZE
            else:
                a = memory[k] if code == 0x60 else k if code == 0x00 else _DATA_SIZE


def _words(arch: int, number: int, arguments: Arguments, ip: int) -> list[int]:
    words = [number & _WORD, arch & _WORD]
    for value in (ip, *arguments):
        words += (value & _WORD, value >> 32 & _WORD)
    return words


def _holds(code: int, a: int, x: int) -> bool:
    match code & 0xF0:
        case 0x10:
            return a == x
        case 0x20:
            return a > x
        case 0x30:
            return a >= x
        case _:
            return a & x != 0


def _compute(operation: int, a: int, operand: int) -> int:
    match operation:
        case 0x00:
            result = a + operand
        case 0x10:
            result = a - operand
        case 0x20:
            result = a * operand
        case 0x30:
            result = a // operand
        case 0x40:
            result = a | operand
        case 0x50:
            result = a & operand
        case 0x60:
            # The kernel runs classic programs as eBPF, where a 32-bit shift takes the low five bits of its count.
            result = a << (operand & 31)
        case 0x70:
            result = a >> (operand & 31)
        case 0x80:
            result = -a
        case _:
            result = a ^ operand
    return result & _WORD
