"""What the attacks share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can write to, outside the folders of which each sandbox has its own."""
    path = Path("/var/lib") / f"harden-escape-{os.getpid()}"
    path.mkdir()
    path.chmod(0o777)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)
