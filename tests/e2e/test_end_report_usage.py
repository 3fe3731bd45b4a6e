"""What `harden run --report` says of memory, processes and time; of what the host does not count it says nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.jobs import HARDEN
from tests.e2e.reported import App

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "userns", "overlay", "idmap")

MIB = 1 << 20
FORKS = "for i in 1 2 3 4 5 6 7 8; do sleep 3 & done; wait; echo all"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


@pytest.mark.requires("cgroup1-memory")
def test_what_is_on_cgroup_v1_is_unknown_and_not_none(app):
    app.run(say="end\n")
    told = app.told()
    for name in ("memory_peak_bytes", "swap_peak_bytes", "oom_events", "oom_kills", "memory_high_events"):
        assert told.unknown[name].startswith("the memory controller is on cgroup v1")
    assert json.loads(app.report.read_bytes())["usage"]["oom_kills"] is None


@pytest.mark.requires("cgroup2-memory")
def test_kills_for_want_of_memory_are_told_and_stderr_agrees(app):
    done = app.run("--memory", "48M", "--swap", "0", say="work\n")
    usage = app.told().usage
    assert usage.oom_kills == 1
    assert usage.oom_events
    assert usage.memory_peak_bytes is not None
    assert 8 * MIB < usage.memory_peak_bytes <= 48 * MIB
    assert "harden: memory: the kernel killed 1 of its processes: the memory limit was reached\n" in done.stderr
    twin = app.run("--memory", "256M", "--swap", "0", say="work\n")
    assert twin.stdout == f"{96 * MIB}\n"
    assert "memory:" not in twin.stderr
    usage = app.told().usage
    assert (usage.oom_kills, usage.oom_events) == (0, 0)
    assert usage.memory_peak_bytes is not None
    assert 96 * MIB < usage.memory_peak_bytes <= 256 * MIB


@pytest.mark.requires("cgroup2-memory")
def test_a_kill_from_above_is_not_said_to_be_the_limit(app):
    """A limit of a cgroup above, as a host without memory has it, kills too; ours was never reached."""
    top = Path("/sys/fs/cgroup")
    (top / "cgroup.subtree_control").write_text("+memory")
    scope = top / f"harden-test-{os.getpid()}"
    scope.mkdir()
    try:
        (scope / "memory.max").write_text(str(88 * MIB))
        (scope / "memory.swap.max").write_text("0")
        into = ("sh", "-c", f'echo $$ > {scope}/cgroup.procs && exec "$@"', "sh", str(HARDEN))
        done = app.run("--memory", "1G", say="work\n", by=into)
        usage = app.told().usage
        assert usage.oom_kills
        assert usage.oom_events == 0
        said = f"memory: the kernel killed {usage.oom_kills} of its processes: the host, or a cgroup above"
        assert said in done.stderr
    finally:
        for folder in [*(path for path in scope.iterdir() if path.is_dir()), scope]:
            folder.rmdir()


@pytest.mark.requires("cgroup2-pids")
def test_refused_processes_are_told_and_stderr_agrees(tmp_path):
    app = App(tmp_path, "/bin/sh", "-c", FORKS)
    done = app.run("--pids", "5")
    usage = app.told().usage
    assert usage.pids_peak == 5
    assert usage.forks_refused
    said = f"harden: pids: {usage.forks_refused} processes or threads were refused: the pids limit was reached\n"
    assert said in done.stderr
    twin = app.run("--pids", "21")
    usage = app.told().usage
    assert (twin.stdout, usage.pids_peak, usage.forks_refused) == ("all\n", 9, 0)


@pytest.mark.requires("cgroup2-cpu")
def test_time_that_was_waited_for_is_told(tmp_path):
    app = App(tmp_path, "/bin/sh", "-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done")
    assert app.run("--cpus", "0.2").returncode == 0
    usage = app.told().usage
    assert usage.cpu_throttled_s is not None
    assert usage.cpu_throttled_s > 0
    assert usage.cpu_user_s is not None
    assert usage.process_cpu_user_s is not None
    assert usage.cpu_user_s >= usage.process_cpu_user_s * 0.5 > 0
    assert app.run().returncode == 0
    assert app.told().unknown["cpu_throttled_s"] == "no limit was given: --cpus"
