"""The simulator computes what classic BPF means and refuses what the kernel refuses."""

from __future__ import annotations

import pytest

from harden.bpf.instruction import JA, JEQ, LOAD, RETURN, Instruction
from harden.bpf.simulate import Simulator, Suspended
from harden.errors import HardenError

RET_A = Instruction(0x16)
LD_IMM, LDX_IMM, LD_MEM, LDX_MEM, ST, STX, TAX, TXA = 0x00, 0x01, 0x60, 0x61, 0x02, 0x03, 0x07, 0x87


def answer(*program: Instruction, number: int = 0, arguments=(0, 0, 0, 0, 0, 0), ip: int = 0) -> int:
    return Simulator(program).run(0xC000003E, number, arguments, ip)


@pytest.mark.parametrize(
    ("offset", "word"),
    [(0, 7), (4, 0xC000003E), (8, 0x2222), (12, 0x1111), (16, 2), (20, 1), (56, 4), (60, 3)],
)
def test_loads_come_from_the_words_of_seccomp_data(offset, word):
    arguments = (1 << 32 | 2, 0, 0, 0, 0, 3 << 32 | 4)
    assert answer(Instruction(LOAD, offset), RET_A, number=7, arguments=arguments, ip=0x1111_0000_2222) == word


@pytest.mark.parametrize(
    ("code", "a", "operand", "result"),
    [
        (0x04, 0xFFFFFFFF, 2, 1),
        (0x14, 1, 2, 0xFFFFFFFF),
        (0x24, 0x80000001, 2, 2),
        (0x34, 7, 2, 3),
        (0x44, 5, 2, 7),
        (0x54, 7, 2, 2),
        (0x64, 0x80000001, 1, 2),
        (0x74, 0x80000000, 31, 1),
        (0xA4, 7, 2, 5),
    ],
)
def test_arithmetic_is_32_bits_wide(code, a, operand, result):
    assert answer(Instruction(LD_IMM, a), Instruction(code, operand), RET_A) == result
    by_register = (Instruction(LD_IMM, a), Instruction(LDX_IMM, operand), Instruction(code | 0x08), RET_A)
    assert answer(*by_register) == result


def test_negation():
    assert answer(Instruction(LD_IMM, 1), Instruction(0x84), RET_A) == 0xFFFFFFFF


def test_division_by_a_zero_register_ends_with_zero():
    assert answer(Instruction(LD_IMM, 9), Instruction(0x3C), Instruction(RETURN, 5)) == 0


@pytest.mark.parametrize(
    ("code", "a", "operand", "taken"),
    [
        (0x15, 3, 3, True),
        (0x15, 4, 3, False),
        (0x25, 4, 3, True),
        (0x25, 3, 3, False),
        (0x35, 3, 3, True),
        (0x35, 2, 3, False),
        (0x45, 6, 2, True),
        (0x45, 4, 2, False),
    ],
)
def test_jumps(code, a, operand, taken):
    ends = (Instruction(RETURN, 1), Instruction(RETURN, 0))
    assert answer(Instruction(LD_IMM, a), Instruction(code, operand, 0, 1), *ends) == taken
    assert answer(Instruction(LD_IMM, a), Instruction(LDX_IMM, operand), Instruction(code | 8, 0, 0, 1), *ends) == taken


def test_far_jump():
    assert answer(Instruction(JA, 1), Instruction(RETURN, 1), Instruction(RETURN, 2)) == 2


def test_registers_and_memory():
    program = (
        Instruction(LD_IMM, 5),
        Instruction(TAX),
        Instruction(LD_IMM, 9),
        Instruction(ST, 3),
        Instruction(STX, 4),
    )
    assert answer(*program, Instruction(LD_MEM, 3), RET_A) == 9
    assert answer(*program, Instruction(LDX_MEM, 4), Instruction(TXA), RET_A) == 5
    assert answer(Instruction(0x80), RET_A) == 64
    assert answer(Instruction(0x81), Instruction(TXA), RET_A) == 64


def test_a_run_stops_where_it_needs_more_than_arch_and_number():
    simulator = Simulator((Instruction(LOAD, 0), Instruction(JEQ, 1, 0, 2), Instruction(LOAD, 16), RET_A, RET_A))
    assert simulator.begin(0, 2) == 2
    state = simulator.begin(0, 1)
    assert isinstance(state, Suspended)
    assert simulator.finish(state, 0, 1, (77, 0, 0, 0, 0, 0)) == 77
    assert [each.code for each in simulator.reachable(state)] == [LOAD, 0x16]


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ([], "0 instructions"),
        ([Instruction(RETURN)] * 4097, "4097 instructions"),
        ([Instruction(LOAD, 0)], "last instruction"),
        ([Instruction(LOAD, 2), RET_A], "instruction 0"),
        ([Instruction(LOAD, 64), RET_A], "outside struct seccomp_data"),
        ([Instruction(0x28, 0), RET_A], "no such instruction"),
        ([Instruction(0x94, 3), RET_A], "no such instruction"),
        ([Instruction(JEQ, 0, 0, 1), RET_A], "jumps out"),
        ([Instruction(JA, 1), RET_A], "jumps out"),
        ([Instruction(JA, 0xFFFFFFFF), RET_A], "jumps out"),
        ([Instruction(0x64, 32), RET_A], "shifts"),
        ([Instruction(0x34, 0), RET_A], "divides"),
        ([Instruction(ST, 16), RET_A], "memory words"),
        ([Instruction(LD_MEM, 0), RET_A], "before it is written"),
        ([Instruction(JEQ, 0, 0, 1), Instruction(ST, 0), Instruction(LD_MEM, 0), RET_A], "before it is written"),
    ],
)
def test_programs_that_the_kernel_refuses(program, problem):
    with pytest.raises(HardenError, match=problem):
        Simulator(program)
