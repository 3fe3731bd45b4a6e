"""What `harden check` takes from the recording beside a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from harden.model.document import encode_json
from harden.model.recording import Phase, Recording
from tests import recordings
from tests.cli.gate import Gate


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gate:
    monkeypatch.chdir(tmp_path)
    return Gate(tmp_path, capfd)


def test_right_that_is_needed_while_serving(gate):
    both = (Phase.INIT, Phase.SERVING)
    seen = recordings.run(syscalls=(recordings.syscall("read", phases=both), recordings.syscall("execve")))
    policy = 'format = "harden-policy/1"\ndescription = "x"\ndemand.forbidden_while_serving = ["execve"{}]\n'
    gate.write("app.profile.toml", recordings.profile_of(seen))
    gate.write("p.toml", policy.format(""))
    assert "no recording beside it" in gate.check("--policy", "p.toml").out
    gate.write("app.recording.json", encode_json(Recording.of([seen])))
    assert "[serving-right]" not in gate.check("--policy", "p.toml").out
    gate.write("p.toml", policy.format(', "read"'))
    assert "read is needed while serving" in gate.check("--policy", "p.toml").out


def test_coverage_of_the_runs(gate):
    runs = [recordings.run(syscalls=(recordings.syscall("read"), recordings.syscall(name))) for name in ("dup", "brk")]
    policy = 'format = "harden-policy/1"\ndescription = "x"\ndemand.min_coverage = {}\n'
    gate.write("app.profile.toml", recordings.profile_of(*runs))
    gate.write("app.recording.json", encode_json(Recording.of(runs)))
    # Of 4 incidences 2 are of calls that one run saw, none of them by two: 1 - 2/4 × 2/(2 + 2).
    gate.write("p.toml", policy.format(0.75))
    assert "[low-coverage]" not in gate.check("--policy", "p.toml").out
    gate.write("p.toml", policy.format(0.76))
    assert "2 runs cover 0.750 of the system calls at best" in gate.check("--policy", "p.toml").out
