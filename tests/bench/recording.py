"""What recording costs: loops, short processes and servers under load, beside bare and beside other tracers."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from harden.trace import Recorder
from tests.bench.measure import Measure, free_port, printed_by, served_by
from tests.bench.row import FEW_TURNS, Bar, Row
from tests.bench.tracers import OURS, Tracer, others
from tests.conftest import compile_victim

__all__ = ["Workload", "recording_rows", "workloads"]

SPINS, WRITES, PROCESSES = 2_000_000, 300_000, 500
REDIS_REQUESTS, NGINX_REQUESTS = 60_000, 20_000
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "served"; }} }}
}}
"""

Workload = Callable[[Tracer | None], Measure]
"""How to take a workload's figure, under a tracer or bare."""


def recording_rows(folder: Path) -> list[Row]:
    """Ratios of times, and for servers the share of the untraced rate; first ours, then the others' of the same."""
    rows = [Row("recorder start to open gate", "150 ms", _attach, lambda: 0.150, Bar(1.0))]
    for what, bar, figure in workloads(folder):
        bare = figure(None)
        rows.append(Row(f"{what}, {OURS.name}", "bare", figure(OURS), bare, bar))
        rows += [Row(f"{what}, {tracer.name}", "bare", figure(tracer), bare, turns=FEW_TURNS) for tracer in others()]
    return rows


def workloads(folder: Path) -> list[tuple[str, Bar, Workload]]:
    """What is recorded, the bar of the recorder by BPF, and how to take a figure of it."""
    spin, loops = str(compile_victim("spin", static=True)), str(compile_victim("loops", static=True))
    found = [
        ("2 M getppid", Bar(2.5), _loop(folder, SPINS, spin)),
        ("300 k write", Bar(2.2), _loop(folder, WRITES, loops, "writes")),
        ("500 processes", Bar(1.5), _loop(folder, PROCESSES, loops, "processes")),
    ]
    if shutil.which("redis-server"):
        found += [(f"redis {name}, share of the rate", Bar(0.8, least=True), _redis(folder, name)) for name in _REDIS]
    if shutil.which("nginx") and shutil.which("ab"):
        found.append(("nginx, share of the rate", Bar(0.8, least=True), _nginx(folder)))
    return found


_REDIS = ("get", "set")


def _attach() -> float:
    """What stands between a sandbox that waits at its gate and the gate's opening."""
    begin = time.perf_counter()
    with Recorder.attach(os.stat("/sys/fs/cgroup").st_ino):
        return time.perf_counter() - begin


def _under(tracer: Tracer | None, command: list[str]) -> list[str]:
    return tracer.command(command) if tracer else command


def _loop(folder: Path, count: int, *command: str) -> Workload:
    def figure(tracer: Tracer | None) -> Measure:
        times = count // (tracer.fewer if tracer else 1)
        return printed_by(*_under(tracer, [*command, str(times)]), cwd=folder)

    return figure


def _redis(folder: Path, operation: str) -> Workload:
    port = free_port()
    configuration = folder / f"redis-{operation}.conf"
    configuration.write_text(f'port {port}\nbind 127.0.0.1\nsave ""\n')
    server = ["redis-server", str(configuration)]

    def figure(tracer: Tracer | None) -> Measure:
        requests = str(REDIS_REQUESTS // (tracer.fewer if tracer else 1))
        client = ["redis-benchmark", "-p", str(port), "-t", operation, "-n", requests, "-c", "20", "--csv"]
        pattern = rf'"{operation.upper()}","([\d.]+)"'
        return served_by(_under(tracer, server), client, pattern, port=port, cwd=folder)

    return figure


def _nginx(folder: Path) -> Workload:
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port))
    server = ["nginx", "-c", str(configuration)]

    def figure(tracer: Tracer | None) -> Measure:
        requests = str(NGINX_REQUESTS // (tracer.fewer if tracer else 1))
        client = ["ab", "-q", "-n", requests, "-c", "20", f"http://127.0.0.1:{port}/"]
        return served_by(_under(tracer, server), client, r"Requests per second: +([\d.]+)", port=port, cwd=folder)

    return figure
