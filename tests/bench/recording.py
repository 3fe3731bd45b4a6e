"""What recording costs: loops, short processes and servers under load, beside bare and beside strace."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bench.measure import Measure, free_port, printed_by, served_by
from tests.conftest import compile_victim
from tests.e2e.jobs import HARDEN

__all__ = ["recording_rows"]

Row = tuple[str, str, Measure, Measure]

WRITES, PROCESSES = 300_000, 500
STRACED = 20
"""strace is given so many times fewer calls: what is compared is the time of one."""
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ return 200 "served"; }} }} }}
"""


def recording_rows(folder: Path) -> list[Row]:
    """Ratios of times, and for servers the share of the untraced rate."""
    loops = str(compile_victim("loops", static=True))
    rows = []
    for mode, count, what in (
        ("writes", WRITES, "300 k write, recorded"),
        ("processes", PROCESSES, "500 processes, recorded"),
    ):
        command = (loops, mode, str(count))
        bare = printed_by(*command, cwd=folder)
        rows.append((what, "bare", printed_by(*_traced("loops"), *command, cwd=folder), bare))
        if strace := shutil.which("strace"):
            fewer = (strace, "-f", "-o", "/dev/null", loops, mode, str(count // STRACED))
            rows.append((f"{mode}, strace -f", "bare", printed_by(*fewer, cwd=folder), bare))
    if shutil.which("redis-server"):
        rows += _redis(folder)
    if shutil.which("nginx") and shutil.which("ab"):
        rows.append(_nginx(folder))
    return rows


def _traced(name: str) -> tuple[str, ...]:
    return (str(HARDEN), "trace", "--force", "--allow-incomplete", "--net", "host", "--name", name, "--")


def _redis(folder: Path) -> list[Row]:
    port = free_port()
    server = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
    rows = []
    for operation in ("get", "set"):
        client = ["redis-benchmark", "-p", str(port), "-t", operation, "-n", "60000", "-c", "20", "--csv"]
        ours, bare = (
            served_by([*prefix, *server], client, rf'"{operation.upper()}","([\d.]+)"', port=port, cwd=folder)
            for prefix in (_traced("redis"), ())
        )
        rows.append((f"redis {operation}, share of the rate", "untraced", ours, bare))
    return rows


def _nginx(folder: Path) -> Row:
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port))
    server = ["nginx", "-c", str(configuration)]
    client = ["ab", "-q", "-n", "20000", "-c", "20", f"http://127.0.0.1:{port}/"]
    ours, bare = (
        served_by([*prefix, *server], client, r"Requests per second: +([\d.]+)", port=port, cwd=folder)
        for prefix in (_traced("nginx"), ())
    )
    return ("nginx, share of the rate", "untraced", ours, bare)
