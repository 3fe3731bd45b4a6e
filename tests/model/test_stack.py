"""Stacks in recordings: text, the identity of runs, and merging."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.model.document import encode_json
from harden.model.recording import Recording, Run, merge
from harden.model.stack import NO_STACK, Frame, Stack, StackEnd, StackObject, Stacks
from tests import recordings

FRAMES = (Frame(object=0, symbol="open", offset=0x51), Frame(object=1, offset=0x2752))
STACKS = Stacks(
    objects=(StackObject(path="/usr/lib/libc.so.6", build_id="ab12"), StackObject(path="/usr/bin/app")),
    frames=FRAMES,
    stacks=(
        Stack(frames=(0, 1)),
        Stack(frames=(0, 1), end=StackEnd.LOST, guessed_from=1),
        Stack(frames=(0,), end=StackEnd.COPY),
    ),
    missing={"limit": 3},
)


def with_stacks(run: Run, *numbers: int, stacks: Stacks = STACKS) -> Run:
    """`run` with stacks for its first files and calls."""

    def numbered(seen: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            msgspec.structs.replace(each, stack=number)
            for each, number in zip(seen, (*numbers, *[NO_STACK] * len(seen)), strict=False)
        )

    return msgspec.structs.replace(run, files=numbered(run.files), syscalls=numbered(run.syscalls), stacks=stacks)


def test_a_stack_is_text_with_a_line_per_frame():
    assert STACKS.describe(0) == ("open+0x51 /usr/lib/libc.so.6", "/usr/bin/app+0x2752")
    assert STACKS.describe(1) == (
        "open+0x51 /usr/lib/libc.so.6",
        "(by frame pointers from here on)",
        "/usr/bin/app+0x2752",
        "(… lost)",
    )
    assert STACKS.describe(2)[-1] == "(… copy)"


@pytest.mark.parametrize("number", [NO_STACK, 3, -2])
def test_a_stack_that_is_not_there_has_no_lines(number):
    assert STACKS.describe(number) == ()
    assert recordings.small_run().stack(number) == ()


def test_numbers_that_lead_nowhere_are_no_error():
    broken = Stacks(objects=(), frames=FRAMES, stacks=(Stack(frames=(0, 7, -1)),))
    assert broken.describe(0) == ("?", "?", "?")


def test_stacks_change_neither_the_name_of_a_run_nor_the_bytes_of_one_without():
    bare = recordings.small_run()
    run = with_stacks(bare, 0, 2)
    assert run.id == bare.id
    assert run.without_evidence() == bare
    assert encode_json(Recording.of([run.without_evidence()])) == encode_json(Recording.of([bare]))
    assert b"stack" not in encode_json(Recording.of([bare]))


@given(st.lists(st.sampled_from([(), (0,), (1,), (0, 2)]), min_size=1, max_size=4), st.randoms())
def test_merging_keeps_the_run_that_has_stacks_whatever_the_order(variants, random):
    bare = recordings.small_run()
    runs = [bare, *(with_stacks(bare, *variant) for variant in variants)]
    first = encode_json(merge([Recording.of([run]) for run in runs]))
    random.shuffle(runs)
    merged = merge([Recording.of([run]) for run in runs])
    assert encode_json(merged) == first
    assert len(merged.runs) == 1
    assert merged.runs[0].stacks == STACKS
    assert recordings.merged_by_files(runs) == first


def test_a_profile_does_not_depend_on_stacks():
    bare = recordings.small_run()
    assert recordings.profile_of(with_stacks(bare, 0, 1, 2)) == recordings.profile_of(bare)
