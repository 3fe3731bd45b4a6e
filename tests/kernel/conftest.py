"""The recorder's tests run over both backends."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harden.model.recording import Run
from harden.trace.layout import COMBINATIONS
from tests.kernel.recorded import BACKENDS, EVERY_BACKEND, Record, record, record_as_user, record_by_notify


class _Recorded:
    def __init__(self, backend: str) -> None:
        self.backend = backend

    def __call__(
        self,
        *command: object,
        cwd: Path | None = None,
        options: Sequence[str] = (),
        expect: int = 0,
        combinations: int = COMBINATIONS,
    ) -> Run:
        if self.backend == "bpf":
            return record(*command, cwd=cwd, options=options, expect=expect, combinations=combinations)
        recorder = record_as_user if self.backend == "notify as a user" else record_by_notify
        return recorder(*command, cwd=cwd, expect=expect, combinations=combinations)


@pytest.fixture(params=BACKENDS)
def recorded(request: pytest.FixtureRequest) -> Record:
    """`recorded(*command, cwd=…)` → Run, with each backend in turn; `recorded.backend` says which."""
    return _Recorded(request.param)


@pytest.fixture(params=EVERY_BACKEND)
def recorded_by_all(request: pytest.FixtureRequest) -> Record:
    """The same, and by user notification as an ordinary user."""
    return _Recorded(request.param)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach and write, unlike pytest's."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="harden-place-") as name:
        Path(name).chmod(0o777)
        yield Path(name)
        # What is too deep for shutil.rmtree, which recurses in Python.
        subprocess.run(["find", name, "-mindepth", "1", "-delete"], check=True)
