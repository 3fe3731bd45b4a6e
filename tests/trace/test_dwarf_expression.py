"""DWARF expressions: those that compilers, linkers and the C library write, and any bytes at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.trace.byte_reader import ByteReader, Malformed
from harden.trace.dwarf_expression import evaluate

RSP, RBP, RIP = 7, 6, 16
PLT = bytes.fromhex("77 08 80 00 3f 1a 3b 2a 33 24 22")
"""breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus: what ld writes for the 16 bytes of each entry."""
REALIGNED = bytes.fromhex("76 78 06")
"""breg6 -8; deref: what gcc writes for a function with a realigned stack."""


def no_memory(address: int) -> int:
    raise Malformed(f"{address:#x}")


@pytest.mark.parametrize(("instruction", "offset"), [(0x1020, 8), (0x102A, 8), (0x102B, 16), (0x102F, 16)])
def test_the_frame_of_a_plt_entry_grows_when_it_has_pushed(instruction, offset):
    assert evaluate(PLT, {RSP: 0x7000, RIP: instruction}, no_memory) == 0x7000 + offset


def test_the_frame_of_a_realigned_stack_is_in_memory():
    assert evaluate(REALIGNED, {RBP: 0x7010}, {0x7008: 0x7100}.__getitem__) == 0x7100


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("09ff", (1 << 64) - 1),
        ("0a3412", 0x1234),
        ("10e58e26", 624485),
        ("11 7f 19", 1),
        ("31 1f 20", 0),
        ("35 32 1c", 3),
        ("35 32 16 1c", (1 << 64) - 3),
        ("35 32 14 1e 22", 15),
        ("38 12 21 13 34", 4),
        ("09f0 31 26", (1 << 64) - 8),
        ("31 38 25", 0),
        ("09ff 30 2d", 1),
        ("33 23 05", 8),
        ("31 08ff 24", 0),
    ],
)
def test_operators(expression, value):
    assert evaluate(bytes.fromhex(expression), {}, no_memory) == value


@pytest.mark.parametrize("expression", ["", "22", "28", "2f0100", "77", "7780", "0e00", "9600" * 2, "12", "30" * 65])
def test_what_cannot_be_evaluated_is_malformed(expression):
    with pytest.raises(Malformed):
        evaluate(bytes.fromhex(expression), {}, no_memory)


@given(st.binary(max_size=200), st.integers(0, (1 << 64) - 1))
def test_any_bytes_end_in_64_bits_or_are_malformed(expression, value):
    try:
        found = evaluate(expression, dict.fromkeys(range(17), value), lambda address: address ^ value)
    except Malformed:
        return
    assert 0 <= found < 1 << 64


@given(st.integers(0, (1 << 63) - 1), st.integers(-(1 << 62), (1 << 62) - 1))
def test_leb128_numbers_come_back(unsigned, signed):
    assert ByteReader(leb128(unsigned, done=lambda rest, _: rest == 0)).unsigned() == unsigned
    ends = {0: 0, -1: 0x40}
    encoded = leb128(signed, done=lambda rest, byte: rest in ends and byte & 0x40 == ends[rest])
    assert ByteReader(encoded).signed() == signed


def leb128(value: int, *, done: Callable[[int, int], bool]) -> bytes:
    found = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if done(value, byte):
            return bytes([*found, byte])
        found.append(byte | 0x80)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 11])
def test_a_number_without_an_end_is_malformed(data):
    with pytest.raises(Malformed):
        ByteReader(data).unsigned()
