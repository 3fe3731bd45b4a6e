"""A filter that says something else than its profile is never handed out."""

from __future__ import annotations

import pytest

from harden.bpf.action import ALLOW, EPERM, Action
from harden.bpf.compile import compile_decision
from harden.bpf.decision import Decision
from harden.bpf.instruction import AND, LOAD, RETURN, Instruction
from harden.bpf.libseccomp import ArgumentRule, Operator, Rule, compile_rules
from harden.bpf.simulate import Simulator
from harden.bpf.verification import Point, boundaries, verify
from harden.errors import HardenError
from tests.bpf.sample_rights import COOKIE, SERVER, SHELL

X86_64 = 0xC000003E
GETPPID = 110


def is_conditional(each: Instruction) -> bool:
    return each.code & 0x07 == 0x05 and each.code & 0xF0 != 0


@pytest.mark.requires("x86_64")
def test_the_known_weakening_of_libseccomp_is_caught():
    limit = 0x2_0000_0005
    rules = (
        Rule(ALLOW, GETPPID, (ArgumentRule(0, Operator.GE, 2),)),
        Rule(ALLOW, GETPPID, (ArgumentRule(1, Operator.LE, 0), ArgumentRule(0, Operator.LE, limit))),
    )

    def meant(arch, number, arguments) -> Action:
        a0, a1 = arguments[:2]
        return ALLOW if number == GETPPID and (a0 >= 2 or (a1 <= 0 and a0 <= limit)) else EPERM

    program = compile_rules(rules, EPERM)
    points = [Point(X86_64, GETPPID, tuple((a0, a1, 0, 0, 0, 0) for a0 in (0, 1, 2, limit) for a1 in (0, 1)))]
    assert meant(X86_64, GETPPID, (0, 3, 0, 0, 0, 0)) == EPERM
    if Simulator(program).run(X86_64, GETPPID, (0, 3, 0, 0, 0, 0)) == EPERM:
        assert verify(program, meant, points) > 0, "this libseccomp compiles it right"
        return
    with pytest.raises(HardenError, match=r"answers ALLOW to system call 110 .* means ERRNO\(EPERM\)"):
        verify(program, meant, points)
    with pytest.raises(HardenError, match="answers ALLOW"):
        verify(program, meant, [Point(X86_64, GETPPID)])


@pytest.mark.parametrize("rights", [SERVER, SHELL], ids=["server", "shell"])
def test_every_exchanged_jump_is_noticed(rights):
    decision = Decision.of(rights, COOKIE)
    program = compile_decision(decision)
    assert verify(program, decision.action, boundaries(decision, program)) > 1000
    used = [index for index, each in enumerate(program) if is_conditional(each) and each.jt != each.jf]
    unnoticed = []
    for index in used[::7]:
        each = program[index]
        mutant = (*program[:index], each._replace(jt=each.jf, jf=each.jt), *program[index + 1 :])
        try:
            verify(mutant, decision.action, boundaries(decision, mutant))
        except HardenError:
            continue
        unnoticed.append(index)
    assert unnoticed == []


@pytest.mark.parametrize("change", [1, -1, 1 << 31])
def test_every_changed_constant_is_noticed(change):
    decision = Decision.of(SERVER, COOKIE)
    program = compile_decision(decision)
    compared = [index for index, each in enumerate(program) if each.code == 0x15]
    for index in compared[::9]:
        each = program[index]
        mutant = (*program[:index], each._replace(k=(each.k + change) & 0xFFFFFFFF), *program[index + 1 :])
        with pytest.raises(HardenError, match="compiled filter answers"):
            verify(mutant, decision.action, boundaries(decision, mutant))


def test_an_argument_that_is_read_for_nothing_is_looked_at():
    program = (
        Instruction(LOAD, 16),
        Instruction(0x15, 0x1234, 0, 1),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, EPERM),
    )
    with pytest.raises(HardenError, match="0x1234"):
        verify(program, lambda *_: EPERM, [Point(X86_64, 1)])


def test_a_program_that_the_kernel_refuses_is_no_filter():
    with pytest.raises(HardenError, match="the kernel would refuse"):
        verify((Instruction(LOAD, 0),), lambda *_: EPERM, [])


def test_every_changed_mask_is_noticed():
    decision = Decision.of(SERVER, COOKIE)
    program = compile_decision(decision)
    masks = [index for index, each in enumerate(program) if each.code == AND]
    assert masks
    for place, index in enumerate(masks):
        for bit in range(place % 5, 32, 5):
            each = program[index]
            mutant = (*program[:index], each._replace(k=each.k ^ 1 << bit), *program[index + 1 :])
            with pytest.raises(HardenError, match="compiled filter answers"):
                verify(mutant, decision.action, boundaries(decision, mutant))
