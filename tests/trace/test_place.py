"""Paths from names and strings."""

from __future__ import annotations

import pytest

from harden.trace.place import folder_of, join, names_of_path, path_of_names
from tests.trace.sample_observations import names


@pytest.mark.parametrize("path", ["/", "/a", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/with space/\n"])
def test_names_become_the_path(path):
    assert path_of_names(names(path)).decode() == path
    assert names_of_path(path.encode()) == names(path)


@pytest.mark.parametrize(
    ("base", "name", "path"),
    [
        (b"/", b"/etc/passwd", b"/etc/passwd"),
        (b"/", b"//etc/./passwd", b"/etc/passwd"),
        (b"/srv", b"file", b"/srv/file"),
        (b"/srv/a", b"../b", b"/srv/b"),
        (b"/srv", b"folder/", b"/srv/folder"),
        (b"/", b"..", b"/"),
        (b"/jail", b"/etc/passwd", b"/jail/etc/passwd"),
    ],
)
def test_a_name_is_joined_to_its_folder(base, name, path):
    assert join(base, name) == path


def test_the_folder_of_a_path():
    assert (folder_of(b"/a/b"), folder_of(b"/a"), folder_of(b"/")) == (b"/a", b"/", b"/")
