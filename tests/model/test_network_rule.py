"""Network rules as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.model.need import network_needs
from harden.model.network_rule import NetworkRule
from tests.recordings import run, sockets


@given(st.lists(sockets, max_size=3))
def test_rules_read_back(seen):
    for rule in network_needs(run(sockets=tuple(seen))):
        assert NetworkRule.parse(rule.render()) == rule


@pytest.mark.parametrize(
    "text",
    [
        "listen tcp 0.0.0.0:80",
        "bind tcp 0.0.0.0",
        "bind tcp 0.0.0.0:70000",
        "bind tcp example.org:80",
        "bind nothing x",
        "connect unix relative/path",
        "connect unix /a/../b",
    ],
)
def test_bad_rules_are_refused(text):
    with pytest.raises(ValueError):
        NetworkRule.parse(text)
