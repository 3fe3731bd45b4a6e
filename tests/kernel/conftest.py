"""The recorder's tests run over both backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from harden.model.recording import Run
from harden.trace.layout import COMBINATIONS
from tests.kernel.recorded import BACKENDS, Record, record, record_by_notify


class _Recorded:
    def __init__(self, backend: str) -> None:
        self.backend = backend

    def __call__(
        self, *command: object, cwd: Path | None = None, expect: int = 0, combinations: int = COMBINATIONS
    ) -> Run:
        recorder = record if self.backend == "bpf" else record_by_notify
        return recorder(*command, cwd=cwd, expect=expect, combinations=combinations)


@pytest.fixture(params=BACKENDS)
def recorded(request: pytest.FixtureRequest) -> Record:
    """`recorded(*command, cwd=…)` → Run, with each backend in turn; `recorded.backend` says which."""
    return _Recorded(request.param)
