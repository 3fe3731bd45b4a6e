"""Estimates of coverage against values worked out by hand, and against those published for the same counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.model.coverage import Coverage, estimate_coverage


def runs_with(runs: int, once: int, twice: int, more: int) -> list[set[str]]:
    """`once` things seen by one run each, `twice` by two, `more` by all."""
    found: list[set[str]] = [{f"m{number}" for number in range(more)} for _ in range(runs)]
    for number in range(once):
        found[number % runs].add(f"o{number}")
    for number in range(twice):
        for offset in (0, 1):
            found[(number + offset) % runs].add(f"t{number}")
    return found


def estimate(runs: list[set[str]]) -> Coverage:
    found = estimate_coverage("things", runs)
    assert found is not None
    return found


def test_by_hand():
    """a is in all three runs, b in two, c and d in one: S=4 Q1=2 Q2=1 U=7 m=3."""
    found = estimate([{"a", "b", "c"}, {"a", "b"}, {"a", "d"}])
    assert (found.runs, found.seen) == (3, 4)
    # 4 + (2/3) * 2*1 / (2*2)
    assert found.total == pytest.approx(4 + 1 / 3)
    # 1 - (2/7) * (2*2 / (2*2 + 2*1))
    assert found.coverage == pytest.approx(1 - 2 / 7 * 4 / 6)
    assert found.expected_new == pytest.approx(2 / 3)
    assert found.last_new == 3


def test_four_nginx_runs():
    """Runs of 50, 65, 71 and 59 calls with S=85, Q1=18, Q2=15: published as 92.2 and 0.95."""
    found = estimate(runs_with(4, 18, 15, 52))
    assert found.seen == 85
    # 85 + (3/4) * 18*17 / (2*16)
    assert found.total == pytest.approx(92.171875)
    # U = 18 + 30 + 4*52 = 256
    assert found.coverage == pytest.approx(1 - 18 / 256 * 54 / 84)
    assert found.coverage == pytest.approx(0.95, abs=0.005)


def test_runs_that_saw_the_same_cover_it_all():
    found = estimate([{"a", "b"}, {"a", "b"}])
    assert (found.total, found.coverage, found.expected_new, found.last_new) == (2, 1, 0, 1)


def test_runs_that_share_nothing_cover_nothing():
    found = estimate([{"a"}, {"b"}])
    # 2 + (1/2) * 2*1 / 2
    assert (found.total, found.coverage, found.expected_new, found.last_new) == (2.5, 0, 1, 2)


def test_nothing_was_seen():
    found = estimate([set(), set()])
    assert (found.seen, found.total, found.coverage, found.last_new) == (0, 0, 1, 0)


@pytest.mark.parametrize("runs", [[], [{"a"}]])
def test_fewer_than_two_runs_say_nothing(runs):
    assert estimate_coverage("things", runs) is None


@given(st.lists(st.frozensets(st.integers(0, 30), max_size=12), min_size=2, max_size=8))
def test_estimates_stay_in_their_bounds(runs):
    found = estimate_coverage("things", runs)
    assert found is not None
    assert 0 <= found.coverage <= 1
    assert found.total >= found.seen
    assert 0 <= found.last_new <= len(runs)
    shuffled = estimate_coverage("things", runs[::-1])
    assert shuffled is not None
    assert (shuffled.total, shuffled.coverage) == (found.total, found.coverage)
