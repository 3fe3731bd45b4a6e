"""Where `harden check` writes: a report or a baseline takes the place of nothing that was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.cases import profile
from tests.cli.gate import Gate

POLICY = 'format = "harden-policy/1"\ndescription = "x"\n'


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gate:
    monkeypatch.chdir(tmp_path)
    return Gate(tmp_path, capfd)


@pytest.mark.parametrize(
    "target",
    [
        *("app.profile.toml", "app.local.toml", "app.recording.json", "app.verified.json", "other.profile.toml"),
        *("filter.json", "mine.toml", "base.toml", "linked", "accepted", "."),
    ],
)
def test_a_report_replaces_nothing_that_is_read(gate, target):
    gate.write("app.profile.toml", profile())
    gate.write("accepted", profile())
    gate.write("filter.json", '{"defaultAction": "SCMP_ACT_ERRNO"}')
    gate.write("base.toml", POLICY)
    gate.write("mine.toml", POLICY + 'extends = "base.toml"\n')
    Path("linked").symlink_to("app.profile.toml")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    words = ("--policy", "mine.toml", "--baseline", "accepted", "app.profile.toml", "filter.json")
    done = gate.check(*words, "-o", target)
    assert (done.status, done.err.startswith("harden: -o ")) == (2, True), done.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before
    assert gate.check(*words, "-o", "report").status in (0, 1)
    assert Path("report").exists()


@pytest.mark.parametrize("baseline", ["app.profile.toml", "./", "linked"])
def test_a_profile_is_not_its_own_new_baseline(gate, baseline):
    """It would then have in it what the local file adds."""
    gate.write("app.profile.toml", profile())
    gate.write("app.local.toml", 'format = "harden-local/1"\n[add]\nsyscalls = ["getpid"]\n')
    Path("linked").symlink_to("app.profile.toml")
    before = Path("app.profile.toml").read_bytes()
    done = gate.check("--baseline", baseline, "--update-baseline", "app.profile.toml")
    assert (done.status, "app.profile.toml is its own baseline" in done.err) == (2, True), done.err
    assert Path("app.profile.toml").read_bytes() == before
