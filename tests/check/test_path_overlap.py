"""Two patterns overlap exactly when some path is matched by both."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.check.path_overlap import overlap
from harden.model.path_pattern import PathPattern

PARTS = st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "*b", "a*b"]), min_size=1, max_size=3)
PATTERNS = PARTS.map(lambda parts: PathPattern.parse("/" + "/".join(parts)))
NAMES = ("a", "b", "aa", "ab", "bb", "aab", "abb")
PATHS = tuple(f"/{'/'.join(names)}".encode() for length in (1, 2, 3) for names in product(NAMES, repeat=length))


@given(PATTERNS, PATTERNS)
def test_agrees_with_trying_paths(one, other):
    shared = any(one.matches(path) and other.matches(path) for path in PATHS)
    if shared:
        assert overlap(one, other)
    assert overlap(one, other) == overlap(other, one)
    if not overlap(one, other):
        assert not shared


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/etc/**", "/etc/shadow", True),
        ("/etc/*", "/etc/ssl/key", False),
        ("/e*/s*", "/etc/shadow", True),
        ("/etc/**/x", "/etc/a/*", True),
        ("/etc/*/x", "/etc/*/y", False),
        ("/proc/@{pid}/mem", "/proc/*/m*", True),
        ("/proc/@{pid}/mem", "/proc/self*/mem", False),
        ("/**a**b**c**", "/x/a/y/b/z/c", True),
        ("/**a**b**c**", "/x/c/y/b/z/a", False),
    ],
)
def test_examples(one, other, expected):
    assert overlap(PathPattern.parse(one), PathPattern.parse(other)) is expected


def test_many_wildcards_take_no_time():
    pattern = PathPattern.parse("/" + "**a" * 8 + "b")
    assert not overlap(pattern, PathPattern.parse("/" + "a" * 4000))
