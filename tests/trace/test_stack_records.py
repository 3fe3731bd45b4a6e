"""Stacks as the kernel side sends them."""

from __future__ import annotations

import struct

import pytest

from harden.trace.layout import CountKey, EventKind, Mark, SeenKey, SignalKey
from harden.trace.stack_records import VDSO, MappedFile, Mapping, Registers, parse_stack_records


def record(
    kind: int, *strings: bytes, hash: int = 0, anchor: int = 0, nr: int = 0, mode: int = 0, marks: int = 0
) -> bytes:
    segments = (*strings, *[b""] * (3 - len(strings)))
    lengths = [*map(len, segments), *[0] * 5]
    data = struct.pack("=QQIHhIIIHH8H", hash, anchor, 0, nr, 0, 0, mode, 7, kind, marks, *lengths) + b"".join(segments)
    size: bytes = struct.pack("=I", len(data))
    return size + data


def mapping(space: int, start: int, *numbers: int, names: bytes = b"", marks: int = Mark.OBJECT) -> bytes:
    text = struct.pack("=6Q", start, start + 0x1000, *numbers)
    return record(EventKind.MAPPING, text, b"", names, hash=space, marks=marks)


COUNT = struct.pack("=IIIi", 1, 0, 39, 0)


def test_a_stack_has_the_mappings_of_its_address_space_and_an_owner_the_first_stack_it_was_told():
    data = (
        mapping(9, 0x7000, 3, 11, 500, 0xFE00000, names=b"libc.so\0lib\0")
        + mapping(9, 0x5000, 0, 0, 0, 0, marks=0)
        + mapping(9, 0x6000, 0, 1, 0, 0, marks=0)
        + mapping(8, 0x1000, 0, 12, 1, 1, names=b"x\0")
        + record(EventKind.STACK, struct.pack("=4Q", 1, 2, 3, 4), b"content", hash=5, anchor=9, mode=1)
        + record(EventKind.STACK_OWNER, COUNT, hash=5, nr=0)
        + record(EventKind.STACK_OWNER, COUNT, hash=6, nr=0)
        + record(EventKind.STACK_OWNER, struct.pack("=QQIHhII", 1, 2, 3, 4, 5, 6, 7), hash=5, nr=2)
        + record(EventKind.STACK_OWNER, struct.pack("=IiHBB", 1, 62, 15, 2, 0), hash=5, nr=4)
    )
    found = parse_stack_records(data, {"limit": 3, "memory": 0})
    assert found.losses == {"limit": 3}
    assert found.owners == {
        (CountKey, CountKey(1, 0, 39, 0)): 5,
        (SeenKey, SeenKey(1, 2, 3, 4, 5, 6, 7)): 5,
        (SignalKey, SignalKey(1, 62, 15, 2, 0)): 5,
    }
    (stack,) = found.stacks.values()
    assert stack.registers == Registers(1, 2, 3, 4)
    assert (stack.content, stack.reaches_start) == (b"content", True)
    assert stack.mappings == (
        Mapping(0x5000, 0x6000, 0, None),
        Mapping(0x6000, 0x7000, 0, VDSO),
        Mapping(0x7000, 0x8000, 3 * 4096, MappedFile(b"/lib/libc.so", 11, 500, 0xFE00000)),
    )


@pytest.mark.parametrize(("names", "marks"), [(b"[vdso]\0", Mark.INTERNAL), (b"libc.so\0lib\0", Mark.DETACHED)])
def test_what_has_no_path_cannot_pass_for_a_path_or_the_kernels_code(names, marks):
    data = mapping(9, 0x7000, 0, 11, 500, 1, names=names, marks=marks | Mark.OBJECT)
    data += record(EventKind.STACK, bytes(32), b"", hash=1, anchor=9)
    ((found,),) = [stack.mappings for stack in parse_stack_records(data, {}).stacks.values()]
    assert found.file is not None
    assert found.file.path.startswith(b"memfd:")


def test_a_key_that_is_cut_off_is_refused():
    with pytest.raises(ValueError, match="key"):
        parse_stack_records(record(EventKind.STACK_OWNER, COUNT[:-1], hash=5), {})
