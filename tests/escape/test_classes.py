"""Every class of attack is carried out by a test that is named after it, or says why it cannot be."""

from __future__ import annotations

from tests.escape.classes import CLASSES, NOT_APPLICABLE
from tests.markers import marked


def test_every_class_is_tried_or_says_why_not():
    tried = {int(number) for number in marked("attack")}
    assert set(CLASSES) == set(range(1, 49))
    assert tried | set(NOT_APPLICABLE) == set(CLASSES)
    assert tried & set(NOT_APPLICABLE) == set()
    assert all(reason for reason in NOT_APPLICABLE.values())


def test_every_attack_stands_beside_its_twin():
    """A class has at least two tests, or one test that makes both attempts itself: its text has both outcomes."""
    for number, tests in marked("attack").items():
        assert len(tests) > 1 or any("twin" in test.source.lower() for test in tests), CLASSES[int(number)]
