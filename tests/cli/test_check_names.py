"""Which files `harden check` checks: those named, those in a named folder, or those below the current one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.check.cases import calls, profile
from tests.cli.gate import Gate


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gate:
    monkeypatch.chdir(tmp_path)
    return Gate(tmp_path, capfd)


def test_without_names_every_profile_below_is_checked_and_nothing_of_git(gate):
    for name in ("b.profile.toml", "x/y/a.profile.toml", ".git/c.profile.toml", "d.toml"):
        gate.write(name, profile())
    found = json.loads(gate.check("--format", "json").out)
    assert [each["file"] for each in found["checked"]] == ["b.profile.toml", "x/y/a.profile.toml"]


def test_folder_stands_for_the_profiles_below_it(gate):
    for name in ("a.profile.toml", "x/b.profile.toml", "x/y/c.profile.toml"):
        gate.write(name, profile())
    found = json.loads(gate.check("--format", "json", "x", "x/b.profile.toml").out)
    assert [each["file"] for each in found["checked"]] == ["x/b.profile.toml", "x/y/c.profile.toml"]
    (gate.folder / "empty").mkdir()
    assert "no *.profile.toml below" in gate.unusable("x", "empty")


def test_order_of_names_changes_nothing(gate):
    for name in ("a", "b", "c"):
        gate.write(f"{name}.profile.toml", calls("ptrace"))
    names = [f"{name}.profile.toml" for name in "abc"]
    assert gate.check(*names).out == gate.check(*reversed(names)).out == gate.check(*names, *names).out
