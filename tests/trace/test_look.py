"""What is said of an operation whose result is not seen, by what was there before."""

from __future__ import annotations

import pytest

from harden.model.file_operation import ABSENT, OK, PRESENT, UNKNOWN, FileOperation
from harden.trace.look import Look, result_of


@pytest.mark.parametrize(
    ("look", "operation", "result"),
    [
        (Look.THERE, FileOperation.READ, UNKNOWN),
        (Look.FREE, FileOperation.READ, ABSENT),
        (Look.ABSENT, FileOperation.UNLINK, ABSENT),
        (Look.THERE, FileOperation.MKDIR, PRESENT),
        (Look.FREE, FileOperation.MKDIR, UNKNOWN),
        (Look.ABSENT, FileOperation.MKDIR, ABSENT),
        (Look.TAKEN, FileOperation.WRITE, PRESENT),
        (Look.UNSEEN, FileOperation.READ, UNKNOWN),
        (Look.UNSEEN, FileOperation.MKDIR, UNKNOWN),
    ],
)
def test_what_was_there_says_what_may_have_worked(look, operation, result):
    assert result_of(look, operation) == result


def test_an_open_that_creates_needs_only_the_folder():
    assert result_of(Look.FREE, creates=True) == UNKNOWN
    assert result_of(Look.ABSENT, creates=True) == ABSENT


def test_results_that_are_seen_stay_what_they_are():
    assert result_of(0) == OK
    assert result_of(2) == "ENOENT"
