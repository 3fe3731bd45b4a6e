"""The program that a name stands for, as execvp(3) finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harden.errors import NotExecutable, ProgramNotFound
from harden.kernel.program import find


@pytest.fixture
def folders(tmp_path: Path) -> str:
    """A $PATH of two folders: `data`, a plain file, and `tool`, a folder, are in the first, `tool` in the second."""
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "tool").mkdir(parents=True)
    (first / "data").write_text("")
    second.mkdir()
    (second / "tool").write_text("")
    (second / "tool").chmod(0o755)
    return f"{first}:{second}"


def test_what_cannot_be_executed_is_passed_over(tmp_path: Path, folders: str) -> None:
    assert find("tool", cwd="/", path=folders) == f"{tmp_path}/second/tool"


def test_a_name_with_a_slash_is_not_searched(tmp_path: Path, folders: str) -> None:
    assert find("second/../second/tool", cwd=str(tmp_path), path="/nowhere") == f"{tmp_path}/second/tool"
    with pytest.raises(ProgramNotFound, match="no such file"):
        find("./tool", cwd=str(tmp_path), path=folders)


def test_an_empty_name_is_no_program(folders: str) -> None:
    with pytest.raises(ProgramNotFound, match="empty"):
        find("", cwd="/", path=folders)


@pytest.mark.parametrize(("name", "why"), [("data", "data is not executable"), (".", "first is a folder")])
def test_the_first_that_is_no_program_says_why(folders: str, name: str, why: str) -> None:
    with pytest.raises(NotExecutable, match=why):
        find(name, cwd="/", path=folders)
