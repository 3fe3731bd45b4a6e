"""The marker `requires`: a skip says what is missing, and HARDEN_MUST_RUN makes it a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run_marked(folder: Path, feature: str, **environment: str) -> str:
    """The summary of a run of one passing test that requires `feature`, where PATH holds no program."""
    test = folder / "test_marked.py"
    test.write_text(f"import pytest\n\n@pytest.mark.requires({feature!r})\ndef test_it():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), str(test)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HARDEN_", "PYTEST_"))}
    everything = {**clean, "PATH": "/nonexistent", "PYTHONPATH": str(ROOT), **environment}
    result = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=folder, env=everything, capture_output=True, text=True, check=False
    )
    return result.stdout + result.stderr


@pytest.mark.parametrize(
    ("feature", "environment", "expected"),
    [
        ("checkout", {}, "needs checkout: run the tests in a git checkout"),
        ("ab", {}, "1 skipped"),
        ("ab", {"HARDEN_MUST_RUN": "root,ab"}, "HARDEN_MUST_RUN names ab, but this machine needs ab: apt-get install"),
        ("ab", {"HARDEN_MUST_RUN": "root"}, "1 skipped"),
        ("seccomp", {"HARDEN_MUST_RUN": "seccomp"}, "1 passed"),
        ("nonsense", {}, "tests/feature_probes.py has no such feature"),
        ("ab", {"HARDEN_MUST_RUN": "nonsense"}, "HARDEN_MUST_RUN: no such feature: nonsense"),
    ],
)
def test_a_missing_feature_is_named(tmp_path, feature, environment, expected):
    assert expected in run_marked(tmp_path, feature, **environment)
