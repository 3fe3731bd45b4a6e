"""Stacks that a program made up: whatever is on them, what comes out is bounded and lies in what was mapped."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden.model.stack import StackEnd
from harden.trace.decode_stacks import decode_stacks
from harden.trace.layout import SeenKey
from harden.trace.mapped_object import ObjectStore
from harden.trace.stack_records import MappedFile, Mapping, RawStack, Registers, StackRecords
from harden.trace.unwind import DEPTH, AddressSpace, unwind
from tests.conftest import compile_victim

pytestmark = pytest.mark.requires("gcc", "x86_64")

CODE, STACK = 0x5000_0000, 0x7FFC_0000
KEYS = [SeenKey(number, 0, 1, 257, 0, 0, 0) for number in range(3)]


def mapped(path: Path) -> MappedFile:
    seen = path.stat()
    return MappedFile(bytes(path), seen.st_ino, seen.st_size, os.major(seen.st_dev) << 20 | os.minor(seen.st_dev))


def stack(*words: int, instruction: int = CODE + 16, frame: int = 0, file: MappedFile | None = None) -> RawStack:
    return RawStack(
        Registers(instruction, STACK, frame, 0),
        struct.pack(f"<{len(words)}Q", *words),
        reaches_start=False,
        mappings=(Mapping(CODE, CODE + 0x10000, 0, file),),
    )


def followed(raw: RawStack) -> tuple[list[int], StackEnd]:
    with ObjectStore(lambda path: path) as objects:
        found = unwind(raw, AddressSpace(raw.mappings, objects))
    return [place.offset + place.behind for place in found.places], found.end


def test_frame_pointers_are_followed_where_nothing_else_is_known():
    raw = stack(STACK + 16, CODE + 32, STACK + 32, CODE + 48, 0, 0, frame=STACK)
    assert followed(raw) == ([16, 32, 48], StackEnd.LOST)


@pytest.mark.parametrize(
    ("words", "frame"),
    [
        ((STACK, CODE + 32), STACK),
        ((STACK + 16, CODE + 32, STACK, CODE + 48), STACK),
        ((STACK + 16, CODE + 32, STACK - 4096, CODE + 48), STACK),
        ((STACK + 17, CODE + 32, 0, CODE + 48), STACK + 1),
    ],
    ids=["itself", "back", "below", "crooked"],
)
def test_a_chain_that_does_not_go_up_ends(words, frame):
    places, end = followed(stack(*words, frame=frame))
    assert len(places) <= 3
    assert end is StackEnd.LOST


def test_a_chain_has_a_greatest_length():
    words = [word for number in range(200) for word in (STACK + 16 * (number + 1), CODE + 32)]
    places, end = followed(stack(*words, frame=STACK))
    assert (len(places), end) == (DEPTH, StackEnd.DEPTH)


def test_beyond_the_copy_nothing_is_claimed():
    assert followed(stack(STACK + 4096, CODE + 32, frame=STACK)) == ([16, 32], StackEnd.COPY)


def test_where_nothing_is_mapped_there_is_no_frame():
    assert followed(stack(CODE + 16, instruction=0x1000)) == ([], StackEnd.UNKNOWN)


words = st.one_of(
    st.integers(0, (1 << 64) - 1), st.integers(STACK - 64, STACK + 8192), st.integers(CODE - 8, CODE + 0x10010)
)


@settings(max_examples=300)
@given(words, words, st.lists(words, max_size=300), st.booleans(), st.booleans())
def test_any_stack_gives_frames_inside_what_was_mapped(instruction, frame, content, has_file, reaches_start):
    file = mapped(compile_victim("call_chain")) if has_file else None
    raw = stack(*content, instruction=instruction, frame=frame, file=file)._replace(reaches_start=reaches_start)
    with ObjectStore(lambda path: path) as objects:
        found = unwind(raw, AddressSpace(raw.mappings, objects))
    assert len(found.places) <= DEPTH
    assert all(0 <= place.offset < 0x10000 for place in found.places)


def records(*raws: RawStack) -> StackRecords:
    return StackRecords(
        stacks=dict(enumerate(raws, 1)),
        owners={(SeenKey, KEYS[number]): number + 1 for number in range(len(raws))},
        losses={"limit": 2},
    )


def test_each_stack_is_there_once_in_the_order_of_its_first_time():
    one, other = stack(0, instruction=CODE + 64), stack(0, instruction=CODE + 16)
    stacks, numbers = decode_stacks(records(one, other, one), None)
    assert [numbers[SeenKey, key] for key in KEYS] == [0, 1, 0]
    assert [stacks.describe(number)[0] for number in (0, 1)] == ["[anonymous]+0x40", "[anonymous]+0x10"]
    assert stacks.missing == {"limit": 2}
    assert decode_stacks(records(one, other, one), None) == (stacks, numbers)


def test_what_no_stack_came_for_has_none():
    taken = records(stack(0))
    assert decode_stacks(StackRecords(owners=taken.owners), None)[1] == {}


def test_a_file_that_is_not_the_one_that_was_mapped_is_not_believed(tmp_path):
    program = tmp_path / "program"
    shutil.copy(compile_victim("call_chain"), program)
    raw = stack(0, instruction=CODE + 0x1234, file=mapped(program))
    resolve = {bytes(program): bytes(program)}.get
    named = decode_stacks(records(raw), resolve)[0]
    (tmp_path / "other").write_bytes(program.read_bytes())
    program.unlink()
    (tmp_path / "other").rename(program)
    nameless = decode_stacks(records(raw), resolve)[0]
    assert named.frames[0].symbol
    assert named.objects[0].build_id
    assert [(frame.symbol, frame.offset) for frame in nameless.frames] == [("", 0x1234)]
    assert nameless.objects[0].build_id == ""


@pytest.mark.parametrize("kind", ["fifo", "symlink", "folder", "text"])
def test_a_path_that_leads_to_something_else_is_not_read(tmp_path, kind):
    place = tmp_path / "place"
    {
        "fifo": lambda: os.mkfifo(place),
        "symlink": lambda: place.symlink_to(compile_victim("call_chain")),
        "folder": place.mkdir,
        "text": lambda: place.write_text("#!/bin/sh\n"),
    }[kind]()
    stacks, _ = decode_stacks(records(stack(0, file=mapped(place))), lambda path: path)
    assert stacks.frames[0].symbol == ""
