"""`harden trace` and `harden explain` tell when something was first done, and by which process of the sandbox."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import compile_victim
from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "seccomp", "overlay", "idmap", "gcc")

_STAMP = re.compile(r"/succession/(\d)/begins/(\d+)/\d+")


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("bpf", marks=pytest.mark.requires("bpf", "cgroup2")),
        pytest.param("notify", marks=pytest.mark.requires("seccomp-notify")),
    ],
)
def test_the_first_process_of_a_call_is_named_as_the_program_knows_it(tmp_path, backend):
    harden(
        "trace", "--name", "app", "--backend", backend, "--", str(compile_victim("succession")), "call", cwd=tmp_path
    )
    (run,) = json.loads((tmp_path / "app.recording.json").read_bytes())["runs"]
    own = {match[1]: int(match[2]) for seen in run["files"] if (match := _STAMP.fullmatch(seen["path"]))}
    firsts = {seen["name"]: (seen["process"], seen["first_us"]) for seen in run["syscalls"]}
    assert [firsts["getpriority"][0], firsts["getpgid"][0]] == [own["1"], own["2"]]
    # The program is the sandbox's second process, and lets 20 ms go by before each step.
    assert firsts["wait4"][0] == 2 < own["1"]
    assert 20_000 < firsts["getpriority"][1] < firsts["getpgid"][1] - 20_000
    assert firsts["getpgid"][1] < run["peaks"]["elapsed_s"] * 1e6
    shown = harden("explain", "app.profile.toml", "getpgid", cwd=tmp_path).stdout
    assert f"first at {firsts['getpgid'][1] / 1e6:.3f} s, process {own['2']}\n" in shown
