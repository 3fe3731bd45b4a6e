"""The walk of a program finds every answer that running it can give, and none that it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.bpf.instruction import AND, JA, JEQ, JGE, JGT, JSET, LOAD, RETURN, Instruction
from harden.bpf.simulate import Simulator
from harden.check.foreign.bpf_value import WORD, Knowledge
from harden.check.foreign.bpf_walk import LARGEST_WALK, Walker
from harden.check.subject import Reach
from harden.model.arch import Arch

AUDIT = Arch.X86_64.audit_arch
ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0
INTERESTING = (0, 1, 2, 3, 4, 7, 0x80000000, WORD)
small = st.sampled_from(INTERESTING)


@st.composite
def programs(draw: st.DrawFn) -> tuple[Instruction, ...]:
    """Programs that the kernel takes: forward jumps only, a return at the end."""
    size = draw(st.integers(2, 24))
    out = []
    for index in range(size):
        left = size - index - 1
        kind = draw(
            st.sampled_from(("load", "load", "jump", "jump", "jump", "and", "alu", "tax", "txa", "return", "ja"))
        )
        if kind == "load" or left == 0:
            offset = draw(st.sampled_from((0, 4, 16, 16, 20, 24, 28)))
            out.append(Instruction(LOAD, offset))
        elif kind == "jump":
            code = draw(st.sampled_from((JEQ, JGT, JGE, JSET))) | draw(st.sampled_from((0, 0, 0, 8)))
            jumps = st.integers(0, min(left, 6))
            out.append(Instruction(code, draw(small), draw(jumps), draw(jumps)))
        elif kind == "ja":
            out.append(Instruction(JA, draw(st.integers(0, min(left, 4)))))
        elif kind == "and":
            out.append(Instruction(AND, draw(small)))
        elif kind == "alu":
            out.append(
                Instruction(draw(st.sampled_from((0x04, 0x14, 0x44, 0xA4, 0x0C, 0x3C, 0x84))), draw(st.integers(1, 9)))
            )
        elif kind in ("tax", "txa"):
            out.append(Instruction(0x07 if kind == "tax" else 0x87))
        else:
            out.append(Instruction(RETURN, draw(st.sampled_from((ALLOW, EPERM)))))
    return (*out, Instruction(RETURN, draw(st.sampled_from((ALLOW, EPERM, KILL)))))


@given(programs(), st.lists(st.tuples(small, small, small, small), min_size=1, max_size=40))
def test_a_complete_walk_knows_every_answer(program, words):
    simulator = Simulator(program)
    answers = Walker(simulator).walk(AUDIT, 1)
    seen = {
        int(simulator.run(AUDIT, 1, (low | high << 32, low2 | high2 << 32, 0, 0, 0, 0)))
        for low, high, low2, high2 in words
    }
    if answers.complete:
        assert seen <= answers.actions
    elif any(action == ALLOW for action in seen):
        assert answers.reach is not Reach.NEVER


@given(programs())
def test_an_incomplete_walk_never_says_never(program):
    answers = Walker(Simulator(program)).walk(AUDIT, 1)
    assert answers.complete or answers.reach is not Reach.NEVER


steps = st.lists(
    st.one_of(
        st.tuples(st.just("equal"), small, small),
        st.tuples(st.just("other"), small, small),
        st.tuples(st.just("between"), small, small),
        st.tuples(st.just("touching"), st.sampled_from(INTERESTING[1:]), st.just(0)),
    ),
    max_size=6,
)


def holds(step: tuple[str, int, int], word: int) -> bool:
    kind, first, second = step
    match kind:
        case "equal":
            return word & first == second
        case "other":
            return word & first != second
        case "between":
            return first <= word <= second
        case _:
            return word & first != 0


@given(steps, st.lists(small | st.integers(0, WORD), max_size=30))
def test_knowledge_is_right(chosen, words):
    known: Knowledge | None = Knowledge()
    for kind, first, second in chosen:
        assert known is not None
        match kind:
            case "equal":
                known = known.masked_equal(first, second)
            case "other":
                known = known.masked_other(first, second)
            case "between":
                known = known.between(first, second)
            case _:
                known = known.touching(first)
        if known is None:
            break
    meeting = [word for word in (*words, *INTERESTING) if all(holds(step, word) for step in chosen)]
    if known is None:
        assert not meeting
    else:
        assert all(known.allows(word) for word in meeting)
        witness = known.witness()
        assert witness is None or all(holds(step, witness) for step in chosen)


def answers_of(*program: Instruction):
    return Walker(Simulator(program)).walk(AUDIT, 41)


def test_a_rule_on_an_argument_is_found():
    answers = answers_of(
        Instruction(LOAD, 16), Instruction(JEQ, 2, 0, 1), Instruction(RETURN, ALLOW), Instruction(RETURN, EPERM)
    )
    assert answers.actions == {ALLOW, EPERM}
    assert answers.complete
    assert answers.reach is Reach.SOMETIMES


def test_a_contradiction_is_not_a_path():
    answers = answers_of(
        Instruction(LOAD, 16),
        Instruction(JEQ, 2, 0, 2),
        Instruction(JGT, 5, 0, 1),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, EPERM),
    )
    assert answers.actions == {EPERM}
    assert answers.reach is Reach.NEVER


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        (JGT, 4, {EPERM}),
        (JGT, 5, {ALLOW}),
        (JGE, 5, {EPERM}),
        (JGE, 6, {ALLOW}),
        (JSET, 4, {EPERM}),
        (JSET, 2, {ALLOW}),
    ],
)
def test_a_second_comparison_of_a_known_argument_has_one_way(code, value, expected):
    answers = answers_of(
        Instruction(LOAD, 16),
        Instruction(JEQ, 5, 0, 3),
        Instruction(code, value, 0, 1),
        Instruction(RETURN, EPERM),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, KILL),
    )
    assert answers.complete
    assert answers.actions == expected | {KILL}


@pytest.mark.parametrize("code", [JGT, JGE])
def test_an_order_splits_an_argument_in_two(code):
    answers = answers_of(
        Instruction(LOAD, 16), Instruction(code, 5, 0, 1), Instruction(RETURN, EPERM), Instruction(RETURN, ALLOW)
    )
    assert answers.complete
    assert answers.actions == {ALLOW, EPERM}


def test_a_masked_argument_is_followed():
    answers = answers_of(
        Instruction(LOAD, 16),
        Instruction(AND, 0xF0),
        Instruction(JEQ, 0x0F, 0, 1),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, EPERM),
    )
    assert answers.actions == {EPERM}


def test_arithmetic_on_an_argument_is_given_up_and_counts_as_passing():
    answers = answers_of(
        Instruction(LOAD, 16),
        Instruction(0x24, 3),
        Instruction(JEQ, 9, 0, 1),
        Instruction(RETURN, EPERM),
        Instruction(RETURN, EPERM),
    )
    assert not answers.complete
    assert answers.reach is not Reach.NEVER


def test_paths_without_end_are_given_up():
    ladder = [
        step
        for index in range(100)
        for step in (Instruction(LOAD, 16 + 4 * (index % 12)), Instruction(JSET, 1 << index % 31, 0, 0))
    ]
    # Both ways go on to the next rung, and each rung doubles the paths.
    ladder = [each if each.code == LOAD else each._replace(jt=0, jf=1) for each in ladder]
    padded = [step for each in ladder for step in ((each,) if each.code == LOAD else (each, Instruction(AND, 1)))]
    answers = answers_of(*padded, Instruction(RETURN, EPERM))
    assert not answers.complete
    assert answers.reach is not Reach.NEVER
    assert len(padded) < LARGEST_WALK
