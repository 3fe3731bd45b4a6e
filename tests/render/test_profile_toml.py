"""Profiles as TOML text."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.generate.evidence import evidence_of
from harden.model.document import parse_toml
from harden.model.profile import PROFILE_FORMAT, Profile
from harden.render.profile_toml import render_profile
from harden.render.toml_text import comment, render_toml
from tests.recordings import profile_of, run, small_profile, small_recording

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False)
values = scalars | st.lists(scalars, max_size=4) | st.lists(st.lists(texts, max_size=3), max_size=30)
documents = st.recursive(
    st.dictionaries(texts, values, max_size=3),
    lambda inner: st.dictionaries(texts, values | inner, max_size=3),
    max_leaves=8,
)


@given(documents, texts)
def test_toml_reads_back(document, said):
    comments: dict[tuple[str, ...], str] = {(str(key),): said for key in document}
    assert tomllib.loads(render_toml(document, comments)) == document


def test_tables_in_lists_read_back():
    document = {"binds": [{"source": "/a", "target": "/b"}, {"source": "/c", "writable": True}], "t": {"x": [{"y": 1}]}}
    assert tomllib.loads(render_toml(document, {})) == document


@given(st.text())
def test_a_comment_stays_on_its_line(text):
    assert len(comment(text).splitlines()) <= 1
    assert comment(text).isprintable()


def test_no_place_for_none():
    with pytest.raises(TypeError, match="no place"):
        render_toml({"a": None}, {})


def test_evidence_is_beside_what_was_observed():
    text = render_profile(small_profile(), evidence_of(small_recording())).decode()
    assert '  "openat",  # ×12 app\n' in text
    assert '  ["TCGETS"],  # ×1 app\n' in text
    assert '  "CAP_NET_BIND_SERVICE",  # ×1 app in bind\n' in text
    assert '  "restart_syscall",\n' in text
    assert text.index("\n[workload]") < text.index("\n[rights]")


def test_a_hostile_name_injects_nothing():
    profile = profile_of(
        run(workload={"argv": ('"]\n[rights]\nx="',)}), name='x\n[rights.syscalls]\nmanual = ["ptrace"]'
    )
    text = render_profile(profile, {("syscalls", "openat"): "\n[y]"})
    assert parse_toml(text, Profile, format=PROFILE_FORMAT, file="x") == profile
