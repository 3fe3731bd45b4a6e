"""What is installed: only `harden`, with its native parts and data; and what a build says when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ARTEFACTS = {"harden/_native/harden-exec", "harden/_native/harden-prober", "harden/_native/harden.bpf.o"}

pytestmark = [
    pytest.mark.requires("gcc", "clang", "checkout"),
    pytest.mark.xdist_group("packaging"),
    pytest.mark.timeout(300),
]


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=everything, capture_output=True, text=True, check=False)


def build(kind: str, source: Path, target: Path) -> Path:
    """Build one distribution with the back end's own tools, without network."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(target), str(source)]
    result = run(*command, cwd=source)
    assert result.returncode == 0, result.stdout + result.stderr
    (made,) = target.iterdir()
    return made


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with nothing built, links kept."""
    target = tmp_path_factory.mktemp("checkout")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        source = ROOT / name
        if name and (source.is_symlink() or source.is_file()):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return target


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_harden_and_nothing_else(wheel):
    names = contents(wheel)
    scripts = {name for name in names if ".data/scripts/" in name}
    assert {name.rpartition("/")[2] for name in scripts} == {"harden", "harden-python"}
    assert {name.split("/")[0] for name in names - scripts if ".dist-info/" not in name} == {"harden"}
    assert names >= ARTEFACTS
    assert "harden/_native/_core.abi3.so" in names
    assert "harden/py.typed" in names
    assert not [name for name in names if name.endswith((".c", ".h", ".cdef", "build.py"))]


def test_the_wheel_holds_every_shipped_file(wheel):
    shipped = {
        f"harden/_data/{path.relative_to(ROOT)}"
        for folder in ("profiles", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert shipped <= contents(wheel)


def test_the_wheel_fits_every_python_from_3_11(wheel):
    assert "-cp311-abi3-linux_" in wheel.name


def test_a_source_distribution_builds_the_same_wheel(checkout, wheel, tmp_path):
    archive = build("sdist", checkout, tmp_path / "sdist")
    (tmp_path / "source").mkdir()
    assert run("tar", "-xf", str(archive), "-C", str(tmp_path / "source"), cwd=tmp_path).returncode == 0
    (source,) = (tmp_path / "source").iterdir()
    assert contents(build("wheel", source, tmp_path / "wheel")) == contents(wheel)


def test_the_installed_package_works_away_from_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    assert run(*install, str(wheel), cwd=tmp_path).returncode == 0
    script = """
import harden, harden.shipped
from harden._native import BPF_OBJECT, LAUNCHER, PROBER, artefact
from harden._native._core import lib
print(harden.__file__)
print([artefact(name).stat().st_size > 0 for name in (LAUNCHER, PROBER, BPF_OBJECT)])
print(lib.seccomp_version().major)
"""
    # The checkout's own copy of harden comes in through a .pth file only: PYTHONPATH goes before it.
    result = run(sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(site))
    assert result.stderr == ""
    assert result.stdout.splitlines() == [str(site / "harden/__init__.py"), "[True, True, True]", "2"]
    shown = run(str(site / "bin/harden"), "--version", cwd=tmp_path, PYTHONPATH=str(site))
    assert (shown.stdout.split(",")[0], shown.stderr) == ("harden", "")


def with_tools(folder: Path, *names: str) -> str:
    """A PATH that holds only these programs."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.parametrize(
    ("tools", "line"),
    [
        ((), "cc not found: apt-get install gcc"),
        (("cc", "ld", "as"), "musl-gcc not found: apt-get install musl-tools"),
        (("cc", "ld", "as", "musl-gcc"), "clang not found: apt-get install clang"),
        (("cc", "ld", "as", "musl-gcc", "clang"), "llvm-strip not found: apt-get install llvm"),
    ],
)
def test_a_missing_build_tool_is_one_line_with_its_package(checkout, tmp_path, tools, line):
    path = with_tools(tmp_path / "bin", *tools)
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--build-temp", str(tmp_path / "work")]
    result = run(*command, "--build-lib", str(tmp_path / "lib"), cwd=checkout, PATH=path)
    assert (result.returncode, result.stderr.splitlines()) == (1, [f"harden: build: {line}"])
    assert not (tmp_path / "lib").exists()


def test_a_missing_header_is_one_line_with_its_package(checkout, tmp_path):
    tools = tmp_path / "bin"
    with_tools(tools, "ld", "as")
    compiler = tools / "cc"
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("gcc")} -nostdinc "$@"\n')
    compiler.chmod(0o755)
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--build-temp", str(tmp_path / "work")]
    result = run(*command, cwd=checkout, PATH=str(tools))
    assert result.stderr.splitlines() == ["harden: build: stdio.h not found: apt-get install libc6-dev"]


def test_a_second_build_compiles_nothing(checkout, tmp_path):
    command = [sys.executable, "-W", "ignore", "setup.py", "build_ext", "--build-temp", str(tmp_path / "work")]
    lib = tmp_path / "lib"
    assert run(*command, "--build-lib", str(lib), cwd=checkout).returncode == 0
    times = {path: path.stat().st_mtime_ns for path in (lib / "harden/_native").iterdir()}
    assert len(times) == 5
    assert run(*command, "--build-lib", str(lib), cwd=checkout).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (lib / "harden/_native").iterdir()} == times
