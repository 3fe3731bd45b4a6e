"""Tests of one group take turns: what they share is one folder, port or daemon of the machine."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("of-one")
def test_workers_know_the_groups(request: pytest.FixtureRequest) -> None:
    """pytest-xdist tells by the node id; a pytest that does not let it runs tests of one group at once."""
    assert request.node.nodeid.endswith("@of-one") == ("PYTEST_XDIST_WORKER" in os.environ)
