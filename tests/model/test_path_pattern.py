"""Path text and path patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.model.path_pattern import NAMED_PARTS, PathPattern
from harden.model.path_text import from_text, to_text
from tests.recordings import path_bytes


@given(st.binary())
def test_text_is_reversible_and_printable(path):
    text = to_text(path)
    assert from_text(text) == path
    assert text.isprintable()


@given(st.text())
def test_text_that_was_not_written_by_us_is_read_or_refused(text):
    try:
        path = from_text(text)
    except (ValueError, UnicodeEncodeError):
        return
    assert from_text(to_text(path)) == path


@given(path_bytes, path_bytes)
def test_a_literal_pattern_matches_itself_only(path, other):
    pattern = PathPattern.literal(path)
    assert pattern.is_literal
    assert pattern.path == path
    assert pattern.matches(path)
    assert pattern.matches(other) == (other == path)
    assert PathPattern.parse(pattern.text) == pattern


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/a/*", [b"/a/b"], [b"/a/b/c", b"/b", b"/a"]),
        ("/a/**", [b"/a/b", b"/a/b/c"], [b"/a", b"/ab"]),
        ("/proc/@{pid}/maps", [b"/proc/1/maps", b"/proc/4711/maps"], [b"/proc/self/maps", b"/proc/0/maps"]),
        ("/t/x@{temp}", [b"/t/xaB3xY9"], [b"/t/xaB3", b"/t/xaB3xY9/z"]),
        ("/a\\x2a", [b"/a*"], [b"/ab"]),
    ],
)
def test_patterns(pattern, yes, no):
    parsed = PathPattern.parse(pattern)
    assert [path for path in yes if not parsed.matches(path)] == []
    assert [path for path in no if parsed.matches(path)] == []


@pytest.mark.parametrize("text", ["a", "", "/a/../b", "/a//b", "/a/", "/./a", "/@{nothing}", "/a\\b"])
def test_bad_patterns_are_refused(text):
    with pytest.raises(ValueError):
        PathPattern.parse(text)


@pytest.mark.parametrize(
    ("pattern", "folder"), [("/a/b", b"/a"), ("/a", b"/"), ("/a/x*", b"/a"), ("/a/*/c", b"/a"), ("/**", b"/")]
)
def test_folder(pattern, folder):
    assert PathPattern.parse(pattern).folder == folder


def test_covers():
    wide = PathPattern.parse("/a/**")
    assert wide.covers(PathPattern.parse("/a/b/c"))
    assert wide.covers(PathPattern.parse("/a/b/@{pid}"))
    assert not wide.covers(PathPattern.parse("/b"))
    assert not PathPattern.parse("/a/*").covers(wide)


@pytest.mark.parametrize("part", NAMED_PARTS)
def test_named_parts_never_cross_a_folder(part):
    pattern = PathPattern.parse(f"/a/@{{{part}}}")
    assert not pattern.matches(b"/a/1/2")
    assert not pattern.matches(b"/a/")
