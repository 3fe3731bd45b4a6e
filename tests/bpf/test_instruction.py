"""Instructions survive their bytes, and read like other disassemblers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.bpf.instruction import JEQ, LOAD, RETURN, Instruction, argument_offset, decode, disassemble, encode
from harden.errors import HardenError

INSTRUCTIONS = st.builds(
    Instruction, st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 255)
)


@given(st.lists(INSTRUCTIONS))
def test_bytes_give_the_same_instructions(program):
    assert decode(encode(program)) == tuple(program)


def test_bytes_are_those_of_struct_sock_filter():
    # struct sock_filter { __u16 code; __u8 jt; __u8 jf; __u32 k; }
    assert encode([Instruction(JEQ, 0xC000003E, 1, 2)]) == bytes((0x15, 0, 1, 2, 0x3E, 0, 0, 0xC0))


def test_half_an_instruction_is_refused():
    with pytest.raises(HardenError, match="9 bytes"):
        decode(bytes(9))


def test_argument_halves():
    # struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }
    assert [argument_offset(0), argument_offset(0, high=True), argument_offset(5, high=True)] == [16, 20, 60]
    with pytest.raises(ValueError, match="argument 6"):
        argument_offset(6)


def test_disassembly_names_fields_targets_and_actions():
    program = [
        Instruction(LOAD, 20),
        Instruction(JEQ, 7, 0, 1),
        Instruction(RETURN, 0x7FFF0000),
        Instruction(RETURN, 0x50001),
    ]
    assert disassemble(program).splitlines() == [
        "   0: ld [20]  ; argument 0, high half",
        "   1: jeq #0x7, 2, 3",
        "   2: ret 0x7fff0000  ; ALLOW",
        "   3: ret 0x00050001  ; ERRNO(EPERM)",
    ]


@given(st.lists(INSTRUCTIONS))
def test_every_instruction_has_one_line(program):
    assert len(disassemble(program).splitlines()) == len(program)
