"""What a running guest reports, and when it is given up: it ended, or nothing came from it for too long."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.vm.machine import Machine

__all__ = ["SILENCE_S", "Follower"]

SILENCE_S: Final = 240.0
"""No report for so long means that the guest hangs: the slowest test takes a quarter of it."""


class Follower:
    """Reads one machine's reports as they come."""

    def __init__(self, machine: Machine, reports: Path, *, silence_s: float = SILENCE_S) -> None:
        self.machine = machine
        self.problem = ""
        """Why nothing more will come; empty while something may."""
        self._silence_s = silence_s
        self._reports = open(reports)  # noqa: SIM115
        self._last = time.monotonic()
        self._under_way = ""

    def close(self) -> None:
        """The reports are read no further."""
        self._reports.close()

    def new_lines(self) -> Iterator[dict[str, Any]]:
        """What was reported since the last time; afterwards `problem` is set if that was all."""
        over = self.machine.is_over()
        for text in iter(self._next_line, ""):
            line = json.loads(text)
            self._under_way = line.get("start") or ("" if _is_the_end(line) else self._under_way)
            self._last = time.monotonic()
            yield line
        if over:
            self.problem = f"the guest ended{' while ' + self._under_way + ' ran' if self._under_way else ''}"
        elif time.monotonic() - self._last > self._silence_s:
            self.problem = f"the guest hung: {self._under_way or 'no test'} was under way for {self._silence_s:g} s"

    def _next_line(self) -> str:
        """A line that ends with a newline; half of one is left for the next time."""
        position = self._reports.tell()
        line = self._reports.readline()
        if not line.endswith("\n"):
            self._reports.seek(position)
            return ""
        return line


def _is_the_end(line: dict[str, Any]) -> bool:
    return bool(line.get("report", {}).get("when") == "teardown")
