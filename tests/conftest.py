"""Fixtures and markers that every test shares.

`@pytest.mark.requires("bpf", "root")` skips a test where the machine lacks one of the features, and says how to get
it. A feature named in HARDEN_MUST_RUN (comma-separated) fails the test instead: CI sets it, so nothing is skipped
there in silence.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest

from tests.feature_probes import FEATURES, is_available

# CI judges a change, not the luck of a draw: there the examples are the same every time. Nowhere do they depend on how
# busy the machine is.
hypothesis.settings.register_profile("here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("here"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests/programs"


class Victim(Protocol):
    """Compiles tests/programs/NAME.c and gives the path of the program."""

    def __call__(self, name: str, *, static: bool = False, flags: tuple[str, ...] = ()) -> Path: ...


def must_run() -> frozenset[str]:
    """The features of HARDEN_MUST_RUN; raises UsageError for a name that no test can ask for."""
    names = frozenset(name for name in os.environ.get("HARDEN_MUST_RUN", "").split(",") if name)
    unknown = names - FEATURES.keys()
    if unknown:
        raise pytest.UsageError(f"HARDEN_MUST_RUN: no such feature: {', '.join(sorted(unknown))}")
    return names


def pytest_configure(config: pytest.Config) -> None:
    must_run()


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Into the results, where tests/proven.py finds what this run has proven.
    item.user_properties += [("proves", name) for marker in item.iter_markers("proves") for name in marker.args]
    wanted = [name for marker in item.iter_markers("requires") for name in marker.args]
    if not wanted:
        return
    unknown = [name for name in wanted if name not in FEATURES]
    if unknown:
        pytest.fail(f"requires({unknown[0]!r}): tests/feature_probes.py has no such feature", pytrace=False)
    missing = [name for name in wanted if not is_available(name)]
    if not missing:
        return
    reason = "; ".join(f"needs {name}: {FEATURES[name].fix}" for name in missing)
    demanded = must_run().intersection(missing)
    if demanded:
        pytest.fail(f"HARDEN_MUST_RUN names {', '.join(sorted(demanded))}, but this machine {reason}", pytrace=False)
    pytest.skip(reason)


def compile_victim(name: str, *, static: bool = False, flags: tuple[str, ...] = ()) -> Path:
    """Compile one victim into build/victims, named by its content: safe beside other workers doing the same.

    `flags` come after the usual ones.
    """
    source = PROGRAMS / f"{name}.c"
    words = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g0", "-Wall", "-Wextra", "-Werror", "-pthread", *flags]
    if static:
        words.append("-static")
    headers = [path.read_text() for path in sorted(PROGRAMS.glob("*.h"))]
    digest = hashlib.sha256("\0".join([source.read_text(), *headers, *words]).encode()).hexdigest()[:12]
    folder = ROOT / "build/victims" / digest
    program = folder / name
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{name}.{os.getpid()}"
        subprocess.run(["gcc", *words, str(source), "-o", str(scratch)], check=True)
        # Never replaced: a sandbox of the other worker may have the program under an overlay.
        with contextlib.suppress(FileExistsError):
            os.link(scratch, program)
        scratch.unlink()
    return program


@pytest.fixture(scope="session")
def victim() -> Victim:
    """`victim("sleeper")`, `victim("static_files", static=True)` → path of the compiled program."""
    return compile_victim
