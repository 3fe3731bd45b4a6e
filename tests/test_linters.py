"""Style, types, warnings and what must not be in the repository."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "sandbox/harden/_native"
C_FOLDERS = (f"-I{NATIVE / 'exec'}", f"-I{NATIVE / 'start'}")
C_FLAGS = (*C_FOLDERS, "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror")
PYTHON_FOLDERS = ("sandbox", "tests", "setup.py")
MAX_LINES = {".py": 320, ".c": 520, ".h": 520}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
WORKPLACE = re.compile(
    r"/work/|\bshared/|\bDESIGN\.md|\breference/(experiments|launchers|generators|papers|depend|peers|aes)"
)
TABLES = {"syscall_table.py", "syscall_argument_names.py"}
"""Data in the form of code: long by nature."""


def run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(f"{' '.join(command)}\n{result.stdout}{result.stderr}", pytrace=False)


def project_files() -> list[Path]:
    """What git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


def c_units() -> list[Path]:
    units = [path for folder in ("exec", "prober", "start") for path in (NATIVE / folder).glob("*.c")]
    return sorted([*units, *(ROOT / "tests").rglob("*.c")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_ruff_finds_nothing():
    run(sys.executable, "-m", "ruff", "check", *PYTHON_FOLDERS)


def test_ruff_would_format_nothing():
    run(sys.executable, "-m", "ruff", "format", "--check", *PYTHON_FOLDERS)


def test_mypy_is_content():
    run(sys.executable, "-m", "mypy")


@pytest.mark.requires("gcc")
@pytest.mark.parametrize("unit", c_units(), ids=name)
def test_gcc_warns_of_nothing(unit):
    run("gcc", *C_FLAGS, str(unit))


@pytest.mark.requires("clang")
@pytest.mark.parametrize("unit", c_units(), ids=name)
def test_clang_warns_of_nothing(unit):
    # gcc's optimize attribute is the one that clang does not have.
    run("clang", *C_FLAGS, "-Wno-unknown-attributes", str(unit))


@pytest.mark.requires("git")
def test_the_project_stands_alone():
    named = []
    for path in project_files():
        if path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        named += [f"{name(path)}: {match.group()}" for match in WORKPLACE.finditer(text)]
    assert named == []


@pytest.mark.requires("git")
def test_no_binary_is_in_the_repository():
    assert [name(path) for path in project_files() if b"\0" in path.read_bytes()] == []


def test_files_are_small_and_named_after_something():
    sources = [path for folder in ("sandbox", "tests") for path in (ROOT / folder).rglob("*.py")]
    units = [*(path for path in NATIVE.rglob("*.[ch]")), *sources]
    too_long = [
        f"{name(path)}: {lines} lines"
        for path in units
        if path.name not in TABLES and (lines := len(path.read_text().splitlines())) > MAX_LINES[path.suffix]
    ]
    nameless = [name(path) for path in units if NAMELESS & {path.stem, path.parent.name}]
    assert too_long == []
    assert nameless == []


def test_no_test_skips_in_silence():
    """A skip goes through the marker `requires`, which HARDEN_MUST_RUN can turn into a failure."""
    silent = re.compile(r"pytest\.(skip|importorskip|mark\.skip)|unittest\.skip")
    own = {Path(__file__).resolve(), ROOT / "tests/conftest.py"}
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path not in own]
    assert [name(path) for path in tests if silent.search(path.read_text())] == []
