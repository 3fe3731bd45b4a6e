"""README's table of the backends is what the tests prove over both."""

from __future__ import annotations

from tests.backends import COMMAND, FILE, ROWS, page, runs_over_both
from tests.markers import Marked, marked


def test_the_page_shows_what_the_tests_prove():
    text = FILE.read_text()
    assert page(text) == text, f"{COMMAND} writes it"


def test_every_row_has_a_test_and_every_test_a_row():
    assert set(marked("sees")) == set(ROWS)


def test_every_row_is_proven_over_both_backends():
    single = {name for name, tests in marked("sees").items() if not all(map(runs_over_both, tests))}
    assert single == set()


def test_a_test_of_one_backend_proves_nothing():
    source = "def test_it(victim, {}):\n    pass\n"
    assert runs_over_both(Marked("test_x.py", "test_it", source.format("recorded")))
    assert not runs_over_both(Marked("test_x.py", "test_it", source.format("tmp_path")))
