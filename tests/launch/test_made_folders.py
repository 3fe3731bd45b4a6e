"""Under which names the folders that a profile makes come to be, where links of the host lead to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.launch.made_folders import made_elsewhere
from harden.model.path_pattern import PathPattern
from harden.model.sandbox import Bind


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "r@1/own").mkdir(parents=True)
    (tmp_path / "current").symlink_to("r@1")
    (tmp_path / "root").symlink_to("/")
    (tmp_path / "common").symlink_to("/var/lib")
    return tmp_path


def names(app: Path, *made: str, writable: str = "", bound: str = "", rootfs: str = "") -> list[str]:
    given = [PathPattern.parse(text if rootfs else f"{app}/{text}") for text in made]
    bind = [Bind(source=os.fsencode(app / bound), target=b"/opt", writable=True)] if bound else []
    own = [os.fsencode(app / writable)] if writable else []
    found = made_elsewhere(given, writable=own, binds=bind, rootfs=os.fsencode(rootfs))
    return [each.text.removeprefix(f"{app}/") for each in found]


def test_links_on_the_way_are_followed(app: Path) -> None:
    assert names(app, "current/x", "current/@{hash}/x", "r@1/x".replace("@", "\\x40")) == [
        "r\\x401/x",
        "r\\x401/@{hash}/x",
    ]


def test_what_is_not_there_yet_is_named_by_what_is(app: Path) -> None:
    assert names(app, "current/x/y/z") == ["r\\x401/x/y/z"]


def test_links_that_the_program_can_have_made_are_not_followed(app: Path) -> None:
    (app / "r@1/own/link").symlink_to("/opt/app")
    Path(app / "r@1/own/here").symlink_to(app)
    assert names(app, "current/own/here/x") == ["x"]
    for reach in ({"writable": "current"}, {"writable": "r@1/own"}, {"bound": "r@1"}):
        assert names(app, "current/own/here/x", **reach) == []


def test_folders_of_others_are_not_named(app: Path) -> None:
    assert names(app, "root/x", "common/x") == []


def test_another_root_has_its_own_links(app: Path) -> None:
    (app / "absolute").symlink_to("/r@1")
    assert names(app, "/absolute/x", rootfs=str(app)) == ["/r\\x401/x"]


def test_an_unusual_spelling_of_a_pattern_is_left_alone(app: Path) -> None:
    assert names(app, "curren\\x74/x") == []
