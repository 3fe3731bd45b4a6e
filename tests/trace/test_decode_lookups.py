"""Messages of name servers: what is kept, and that nothing in them can do harm."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.trace.decode_lookups import parse_answer

QUESTION = b"\x04peer\x07example\0" + struct.pack(">HH", 1, 1)
HEADER = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0)
ALIAS = b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 6) + b"\x03web\xc0\x11"
ADDRESS = b"\x03web\xc0\x11" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes((192, 0, 2, 7))
ADDRESS6 = b"\xc0\x0c" + struct.pack(">HHIH", 28, 1, 60, 16) + bytes(15) + b"\x01"


def header(*, flags: int = 0x8180, questions: int = 1, answers: int) -> bytes:
    return struct.pack(">HHHHHH", 7, flags, questions, answers, 0, 0)


def test_addresses_are_found_behind_aliases():
    message = header(answers=3) + QUESTION + ALIAS + ADDRESS + ADDRESS6
    assert parse_answer(message) == ("peer.example", ("192.0.2.7", "::1"))


def test_what_is_cut_off_gives_what_is_whole():
    message = header(answers=2) + QUESTION + ADDRESS + ADDRESS6
    assert parse_answer(message[:-1]) == ("peer.example", ("192.0.2.7",))
    assert parse_answer(message[: 12 + len(QUESTION)]) == ("peer.example", ())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        header(answers=0, flags=0x0100) + QUESTION,
        header(answers=0, questions=2) + QUESTION,
        header(answers=0) + b"\0" + struct.pack(">HH", 1, 1),
        header(answers=0) + b"\x04pe\nr\0" + struct.pack(">HH", 1, 1),
        header(answers=0) + b"\x05#peer\0" + struct.pack(">HH", 1, 1),
        header(answers=0) + b"\x04p.er\0" + struct.pack(">HH", 1, 1),
        header(answers=0) + "\x06pe\u00e9r".encode("latin-1") + b"\0",
        header(answers=0) + b"\xc0\x0c" + struct.pack(">HH", 1, 1),
        header(answers=0) + b"\x3f" + b"a" * 63 + (b"\x3f" + b"b" * 63) * 3 + b"\0" + struct.pack(">HH", 1, 1),
        header(answers=0) + b"\x04peer",
    ],
    ids=[
        "empty",
        "query",
        "two-questions",
        "root",
        "line-feed",
        "comment",
        "dot",
        "byte",
        "pointer",
        "long",
        "cut-off",
    ],
)
def test_what_is_no_plain_answer_is_not_kept(message):
    assert parse_answer(message) is None


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(junk):
    for message in (junk, HEADER + junk, HEADER + QUESTION + junk):
        answer = parse_answer(message)
        assert answer is None or answer[0].replace("-", "a").replace("_", "a").replace(".", "a").isalnum()
