"""`harden trace` tells init from serving: by itself, by --ready, and by a scenario; `show` and the profile say so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

SCENARIO = """
format = "harden-scenario/1"
[[step]]
run = ["touch", "/tmp/go"]
[[step]]
idle_s = 30
"""
WAITING = "{ready}; until [ -e /tmp/go ]; do :; done; /bin/true"


def phases(folder: Path, kind: str, name: str, value: str) -> list[list[str]]:
    """The phases of everything of a kind whose field `name` has this value."""
    (run,) = json.loads((folder / "app.recording.json").read_bytes())["runs"]
    found: list[dict[str, Any]] = [seen for seen in run[kind] if seen[name] == value]
    return [seen.get("phases", ["init"]) for seen in found]


@pytest.mark.parametrize(
    ("ready", "option"), [("echo started", "started"), ("touch /tmp/ready", "/tmp/ready")], ids=["text", "path"]
)
def test_ready_on_the_command_line_begins_serving(tmp_path, ready, option):
    (tmp_path / "s.toml").write_text(SCENARIO)
    script = WAITING.format(ready=ready)
    harden(
        "trace", "--name", "app", "--ready", option, "--scenario", "s.toml", "--", "/bin/sh", "-c", script, cwd=tmp_path
    )
    true = str(Path("/bin/true").resolve())
    assert set(map(tuple, phases(tmp_path, "syscalls", "executable", true))) == {("serving",)}
    shell = str(Path("/bin/sh").resolve())
    assert ["init"] in phases(tmp_path, "syscalls", "executable", shell)


def test_a_program_that_ends_before_it_is_ready_is_all_init(tmp_path):
    done = harden("trace", "--name", "app", "--ready", "81", "--", "/bin/true", cwd=tmp_path)
    assert "ended before it was ready (port 81 listens): everything was recorded as init" in done.stderr
    true = str(Path("/bin/true").resolve())
    assert set(map(tuple, phases(tmp_path, "syscalls", "executable", true))) == {("init",)}


def test_profile_and_show_name_what_only_init_needed(tmp_path, victim):
    for name in ("early", "late", "both", "child", "client"):
        (tmp_path / name).touch()
    harden("trace", "--name", "app", "--", str(victim("phases")), str(tmp_path), cwd=tmp_path)
    profile = (tmp_path / "app.profile.toml").read_text()
    assert re.search(r'"listen",? +# .*init only', profile)
    assert not re.search(r'"accept",? +# .*init only', profile)
    shown = harden("show", "app.recording.json", cwd=tmp_path).stdout
    init, serving = re.findall(r"system calls, (?:init only|serving) \(\d+\)\n  (.*)", shown)
    assert "listen x1" in init.split("  ")[0]
    assert "accept x1" in serving
    assert re.search(rf"{tmp_path}/early +x\d+ openat, init only", shown)
    assert re.search(rf"{tmp_path}/late +x\d+ openat\n", shown)
