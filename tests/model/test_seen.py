"""First times: which one is the first, and that they change nothing but what they say."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from harden.model.document import encode_json
from harden.model.recording import RECORDING_FORMAT, Recording, Run, merge
from harden.model.seen import NOT_KNOWN, First, earliest
from tests import recordings
from tests.model.test_stack import with_stacks

firsts = st.builds(First, st.none() | st.integers(0, 3), st.none() | st.integers(2, 5))


def with_firsts(run: Run, *times: First) -> Run:
    """`run` with first times for its first files and calls."""

    def timed(seen: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            msgspec.structs.replace(each, first_us=first.us, process=first.process)
            for each, first in zip(seen, (*times, *[NOT_KNOWN] * len(seen)), strict=False)
        )

    return msgspec.structs.replace(run, files=timed(run.files), syscalls=timed(run.syscalls))


def test_the_earliest_is_the_one_of_the_least_time():
    assert earliest([First(5, 2), First(3, 9), NOT_KNOWN]) == First(3, 9)
    assert earliest([First(3, 9), First(3, 4)]) == First(3, 4)
    assert earliest([NOT_KNOWN, First(None, 4)]) == earliest([]) == NOT_KNOWN


@given(st.lists(st.lists(firsts, max_size=4), max_size=4), st.randoms())
def test_the_earliest_of_the_earliest_is_that_of_all_in_any_order(groups, random):
    everything = [first for group in groups for first in group]
    expected = earliest(everything)
    random.shuffle(everything)
    assert earliest(everything) == expected
    assert earliest(map(earliest, groups)).us == expected.us


def test_first_times_change_neither_the_name_of_a_run_nor_the_bytes_of_one_without():
    bare = recordings.small_run()
    run = with_firsts(bare, First(5, 2), First(7, None))
    assert b'"first_us": 5,' in encode_json(Recording.of([run]))
    assert run.id == bare.id
    assert run.without_evidence() == bare
    encoded = encode_json(Recording.of([bare]))
    assert b"first_us" not in encoded
    assert b"process" not in encoded


def test_a_recording_of_before_is_read_with_unknown_times():
    encoded = encode_json(Recording.of([recordings.small_run()]))
    read = msgspec.json.decode(encoded, type=Recording)
    assert read.format == RECORDING_FORMAT == "harden-recording/1"
    assert {(seen.first_us, seen.process) for seen in read.runs[0].files} == {(None, None)}


@given(st.lists(st.tuples(st.booleans(), st.lists(firsts, max_size=3)), min_size=1, max_size=4), st.randoms())
def test_merging_keeps_one_runs_evidence_whole_whatever_the_order(variants, random):
    bare = recordings.small_run()
    made = [with_stacks(bare, 0) if has_stacks else bare for has_stacks, _ in variants]
    runs = [bare, *(with_firsts(run, *times) for run, (_, times) in zip(made, variants, strict=True))]
    expected = encode_json(merge([Recording.of([run]) for run in runs]))
    random.shuffle(runs)
    merged = merge([Recording.of(runs[:2]), *(Recording.of([run]) for run in runs[2:]), Recording.of(runs)])
    assert encode_json(merged) == expected
    (kept,) = merged.runs
    assert kept in runs
    is_better = any(has_stacks for has_stacks, _ in variants)
    assert (kept.stacks is not msgspec.UNSET) == is_better
    if not is_better and any(first.us is not None for _, times in variants for first in times):
        assert b"first_us" in expected
    assert recordings.merged_by_files(runs) == expected


@given(recordings.runs)
def test_a_profile_is_the_same_whatever_is_known_of_first_times(run: Run):
    assert recordings.profile_of(run) == recordings.profile_of(run.without_evidence())
