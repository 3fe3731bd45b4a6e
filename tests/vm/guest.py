"""The plugin of the pytest inside: every report goes to the share as one line of JSON, the moment it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

SHARE: Final = Path("/mnt/share")


class Reporter:
    """Writes what tests/vm/plugin.py reads."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.file = open(SHARE / "reports.jsonl", "a", buffering=1)  # noqa: SIM115

    def write(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write({"start": nodeid})

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.write({"report": self.config.hook.pytest_report_to_serializable(config=self.config, report=report)})


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reporter(config))
