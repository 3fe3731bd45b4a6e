"""Delta debugging ends, is right, and keeps no right that is not needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harden.generate.reduction import reduce_rights

NAMES = tuple(f"right{number}" for number in range(24))


@given(st.sets(st.sampled_from(NAMES)), st.integers(0, len(NAMES)))
def test_keeps_exactly_what_is_needed(needed: set[str], number: int) -> None:
    candidates = NAMES[:number]
    found = reduce_rights(candidates, lambda removed: not removed & needed, is_over=lambda: False)
    assert set(found.kept) == needed & set(candidates)
    assert set(found.removed) == set(candidates) - needed
    assert found.complete


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=6))
def test_of_two_that_replace_each_other_one_stays(pairs: list[tuple[str, str]]) -> None:
    def passes(removed: frozenset[str]) -> bool:
        return not any({one, other} <= removed for one, other in pairs)

    found = reduce_rights(NAMES, passes, is_over=lambda: False)
    assert passes(frozenset(found.removed))
    assert not any(passes(frozenset(found.removed) | {name}) for name in found.kept)


@given(st.integers(0, 30))
def test_a_budget_ends_it_with_what_is_known(trials: int) -> None:
    tried: list[frozenset[str]] = []

    def passes(removed: frozenset[str]) -> bool:
        tried.append(removed)
        return "right3" not in removed

    found = reduce_rights(NAMES, passes, is_over=lambda: len(tried) >= trials)
    assert found.trials == len(tried) <= trials
    assert "right3" in found.kept
    assert found.complete or len(tried) == trials


def test_what_is_only_spare_once_another_is_gone_is_found_too() -> None:
    def passes(removed: frozenset[str]) -> bool:
        return "needed" not in removed and ("first" not in removed or "last" in removed)

    found = reduce_rights(("first", "needed", "last"), passes, is_over=lambda: False)
    assert (found.removed, found.kept) == (("first", "last"), ("needed",))


def test_few_trials_where_little_is_needed() -> None:
    names = tuple(str(number) for number in range(128))
    found = reduce_rights(names, lambda removed: "77" not in removed, is_over=lambda: False)
    assert found.kept == ("77",)
    assert found.trials < 40
