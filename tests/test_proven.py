"""README's table of isolation is what the tests prove, and a run that did not prove a row says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.markers import marked
from tests.proven import BEGIN, END, FEATURES, render_table, unproven


def test_the_page_shows_what_the_tests_prove():
    page = (ROOT / "README.md").read_text()
    assert page.partition(BEGIN)[2].partition(END)[0] == render_table(), "python -m tests.proven writes it"


def test_every_row_has_a_test_and_every_test_a_row():
    assert set(marked("proves")) == set(FEATURES)


def results_of(folder: Path, body: str) -> Path:
    """A run of tests that prove two rows, with this body of the second."""
    mark = "@pytest.mark.proves({!r})\ndef test_{}():\n    {}\n"
    tests = mark.format("io_uring", "one", "pass") + mark.format("shifted ids", "two", body)
    (folder / "test_marked.py").write_text(f"import pytest\n{tests}")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    options = ["--junit-xml", str(folder / "junit.xml"), "-p", "no:cacheprovider", str(folder / "test_marked.py")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**clean, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, *options], cwd=folder, env=environment, capture_output=True, check=False)
    return folder / "junit.xml"


def test_a_row_is_proven_by_a_test_that_passed(tmp_path):
    assert set(FEATURES) - set(unproven(results_of(tmp_path, "pass"))) == {"io_uring", "shifted ids"}


def test_a_row_is_not_proven_by_a_test_that_failed(tmp_path):
    assert set(FEATURES) - set(unproven(results_of(tmp_path, "raise ValueError"))) == {"io_uring"}
