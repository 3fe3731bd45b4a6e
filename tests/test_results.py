"""The files about a run: what is written where, when what leads there changes meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.errors import KernelError, UsageError
from harden.launch.symlinks import resolve
from harden.results import Results
from harden.way import hold_folder, way_to


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`link` leads to `real`; `other` is another folder."""
    for name in ("real", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("real")
    return tmp_path


def exchange(place: Path) -> None:
    (place / "real").rename(place / "moved")
    (place / "real").symlink_to("other")


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def fail(files: Results) -> None:
    with files:
        raise ZeroDivisionError("why it was not started")


def results(place: Path, folder: str, *, dry: bool = False) -> Results:
    return Results(report=place / folder / "r.json", enforced_json=place / folder / "e.json", dry=dry)


def test_what_no_link_leads_to_is_begun_at_once_and_the_rest_when_it_is_judged(place):
    files = results(place, "real")
    files.hold()
    assert names(place / "real") == ["e.json", "r.json"]
    assert files.enforced is not None
    for name in names(place / "real"):
        (place / "real" / name).unlink()
    behind = results(place, "link")
    behind.hold()
    assert (names(place / "real"), behind.enforced) == ([], None)
    behind.begin()
    assert names(place / "real") == ["e.json", "r.json"]
    assert behind.enforced is not None


def test_a_fifo_that_nobody_reads_is_refused_at_once(place):
    os.mkfifo(place / "real" / "e.json")
    with pytest.raises(KernelError, match="ENXIO"):
        results(place, "real").hold()
    reader = os.open(place / "real" / "e.json", os.O_RDONLY | os.O_NONBLOCK)
    files = Results(report=None, enforced_json=place / "real" / "e.json")
    files.hold()
    assert files.enforced is not None
    os.write(files.enforced, b"{}")
    assert os.read(reader, 10) == b"{}"


def test_a_folder_that_is_exchanged_after_the_first_look_is_written_all_the_same(place):
    files = results(place, "link")
    files.hold()
    exchange(place)
    files.begin()
    assert (names(place / "other"), names(place / "moved")) == ([], ["e.json", "r.json"])
    with pytest.raises(ZeroDivisionError):
        fail(files)
    assert names(place / "other") == []
    assert "why it was not started" in (place / "moved/r.json").read_text()


def test_a_refusal_is_not_told_behind_a_link_that_was_not_judged(place):
    files = results(place, "link")
    files.hold()
    with pytest.raises(ZeroDivisionError):
        fail(files)
    assert names(place / "real") == []


def test_a_folder_that_becomes_a_link_while_it_is_looked_for_is_refused(place):
    (place / "real/deep").mkdir()
    (place / "other/deep").mkdir()
    for folder in ("real", "real/deep"):
        descriptor = hold_folder(way_to(place / folder))
        assert os.path.samestat(os.fstat(descriptor), (place / folder).stat())
        os.close(descriptor)
    ways = [way_to(place / "link"), way_to(place / "link/deep")]
    exchange(place)
    for way in ways:
        with pytest.raises(NotADirectoryError):
            hold_folder(way)


def test_nothing_is_begun_that_is_only_planned(place):
    files = results(place, "real", dry=True)
    files.hold()
    files.begin()
    assert names(place / "real") == []
    assert [way.path for way in files.ways] == [os.fsencode(place / "real" / name) for name in ("r.json", "e.json")]


def test_one_file_is_not_both_and_a_folder_is_there(place):
    both = Results(report=place / "real/x", enforced_json=place / "link/x")
    with pytest.raises(UsageError, match="are both"):
        both.hold()
    missing = Results(report=None, enforced_json=place / "none/x")
    with pytest.raises(KernelError, match=r"none/x.*ENOENT"):
        missing.hold()
    assert names(place / "real") == []


def test_every_entry_that_leads_somewhere_is_on_the_way(place):
    (place / "up").symlink_to("other/../link")
    found = resolve(os.fsencode(place / "up"))
    assert found is not None
    below = os.fsencode(place) + b"/"
    entries = [entry.removeprefix(below) for entry in found.entries if entry.startswith(below)]
    assert entries == [b"up", b"other", b"link", b"real"]
    way = way_to(place / "up")
    assert way.path == below + b"real"
    assert way.entry_in(os.fsencode(place / "other")) is None
    assert way.entry_in(os.fsencode(place)) == below + b"up"
