"""Servers on port 9000 that are disturbed while they are recorded as `app`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["runs_of", "server_scenario"]


def server_scenario(client: str) -> str:
    """A scenario with the Python code `client`; in it PERTURBATION stands for a name."""
    return f"""
format = "harden-scenario/1"
ready = {{ port = 9000 }}
perturb = ["PERTURBATION"]
[[step]]
run = ["/usr/bin/python3", "-c", "{client}"]
[[step]]
stop = {{ expect_status = 0 }}
"""


def runs_of(folder: Path) -> dict[str, Any]:
    """By perturbation."""
    return {run["perturbation"]: run for run in json.loads((folder / "app.recording.json").read_bytes())["runs"]}
