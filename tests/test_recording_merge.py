"""Recordings merged on disk are what merging them in memory gives, byte for byte, and nothing is lost by it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden.errors import DocumentError, UsageError
from harden.model.document import encode_json
from harden.model.recording import Recording, merge
from harden.recording_merge import merge_files
from tests import recordings


def write(folder: Path, *values: Recording) -> list[Path]:
    paths = [folder / f"{number}.recording.json" for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        path.write_bytes(encode_json(value))
    return paths


@settings(max_examples=25)
@given(st.lists(recordings.recordings, min_size=1, max_size=4), st.randoms())
def test_the_bytes_are_those_of_the_union_in_any_order(values: list[Recording], random: object) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write(folder, *values)
        random.shuffle(paths)  # type: ignore[attr-defined]
        target = folder / "all.recording.json"
        merged = merge_files(paths, target)
        assert target.read_bytes() == encode_json(merge(values))
        assert merged.runs == len(merge(values).runs)
        assert target.stat().st_mode & 0o777 == 0o600
        assert merge_files([target, *paths], target).runs == merged.runs
        assert target.read_bytes() == encode_json(merge(values))


def test_a_target_loses_no_run(tmp_path: Path) -> None:
    one, two = recordings.small_recording(), Recording.of([recordings.run()])
    first, second = write(tmp_path, one, two)
    before = second.read_bytes()
    with pytest.raises(UsageError, match=two.runs[0].id):
        merge_files([first], second)
    assert second.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.recording.json", "1.recording.json"]
    assert merge_files([first, second], second).runs == 2


def test_what_is_no_recording_leaves_the_target_alone(tmp_path: Path) -> None:
    (first,) = write(tmp_path, recordings.small_recording())
    broken = tmp_path / "broken.recording.json"
    broken.write_text("{}")
    before = first.read_bytes()
    with pytest.raises(DocumentError):
        merge_files([first, broken], first)
    assert first.read_bytes() == before


@pytest.mark.parametrize("name", ["app.profile.toml", "app.local.toml", "app.verified.json", "app"])
def test_a_recording_is_not_written_over_something_else(tmp_path: Path, name: str) -> None:
    paths = write(tmp_path, recordings.small_recording())
    with pytest.raises(UsageError, match="ends in"):
        merge_files(paths, tmp_path / name)
