"""How one figure of the bench is taken."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.jobs import environment

__all__ = ["Measure", "free_port", "printed_by", "seconds_of", "served_by"]

Measure = Callable[[], float]
_UP_S = 30.0


def seconds_of(*command: str, cwd: Path, statuses: tuple[int, ...] = (0,)) -> Measure:
    """The wall-clock time of a whole process."""

    def measure() -> float:
        start = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, check=False)
        elapsed = time.perf_counter() - start
        assert done.returncode in statuses, (command, done.returncode, done.stderr)
        return elapsed

    return measure


def printed_by(*command: str, cwd: Path) -> Measure:
    """The figure that a process prints about itself."""
    return lambda: float(
        subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, check=True).stdout.split()[0]
    )


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def served_by(server: list[str], client: list[str], pattern: str, *, port: int, cwd: Path) -> Measure:
    """What a client prints of the rate at which a server serves it; the server runs for this figure only."""

    def measure() -> float:
        null = subprocess.DEVNULL
        with subprocess.Popen(
            server, cwd=cwd, env=environment(), stdin=null, stdout=null, stderr=null, start_new_session=True
        ) as process:
            try:
                _await(port)
                done = subprocess.run(client, cwd=cwd, env=environment(), capture_output=True, text=True, check=True)
            finally:
                # The server too: a tracer may keep the signal for itself and wait for the server's end.
                os.killpg(process.pid, signal.SIGTERM)
        match = re.search(pattern, done.stdout)
        assert match, done.stdout
        return float(match[1])

    return measure


def _await(port: int) -> None:
    deadline = time.monotonic() + _UP_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.02)
