"""Coverage is told once a recording has two runs, with the warning that it is a lower bound."""

from __future__ import annotations

import json

import pytest

from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")


def test_a_second_run_that_does_more_shows_how_little_is_covered(tmp_path):
    first = harden("trace", "--name", "app", "--", "/bin/sh", "-c", ":", cwd=tmp_path)
    assert "covered by" not in first.stderr
    assert "coverage over" not in harden("show", "app.recording.json", cwd=tmp_path).stdout
    second = harden("trace", "--name", "app", "--json", "--", "/bin/sh", "-c", "read x < /etc/hostname", cwd=tmp_path)
    assert "covered by 2 runs (lower bounds): system calls " in second.stderr
    estimates = {each["kind"]: each for each in json.loads(second.stdout)["coverage"]}
    assert estimates["files"]["expected_new"] == 0.5
    assert 0.5 < estimates["files"]["coverage"] < 1
    assert (estimates["capabilities"]["seen"], estimates["capabilities"]["coverage"]) == (0, 1.0)
    shown = harden("show", "app.recording.json", cwd=tmp_path).stdout
    assert "coverage over 2 runs in the order below: lower bounds" in shown
    assert "0.5 new in the next run" in shown
