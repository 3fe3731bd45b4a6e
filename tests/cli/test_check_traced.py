"""The presets on profiles of programs recorded here and now: minimal and baseline pass, strict wants more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harden.cli import main
from tests.cli.gate import Gate

SCENARIO = """\
format = "harden-scenario/1"
command = ["nginx", "-c", "{conf}", "-g", "daemon off;"]
ready = {{ port = 8099 }}
[[step]]
run = ["curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8099/"]
[[step]]
stop = {{ signal = "QUIT", within_s = 10, expect_status = 0 }}
"""
CONF = "worker_processes 1; events {} http { access_log off; server { listen 8099; root /usr/share/nginx/html; } }\n"

pytestmark = [
    pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "sqlite3", "nginx"),
    pytest.mark.xdist_group("trace"),
]


def trace(*arguments: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["trace", *arguments])
    assert caught.value.code == 0


def test_presets_on_traced_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    gate = Gate(tmp_path, capfd)
    conf = gate.write("nginx.conf", CONF)
    gate.write("nginx.scenario.toml", SCENARIO.format(conf=conf))
    trace("--", "/bin/ls", "/")
    trace("--name", "sqlite3", "--", "sqlite3", "x.db", "create table t(a); insert into t values(1); select * from t")
    trace("--scenario", "nginx.scenario.toml")
    for policy in ("minimal", "baseline"):
        done = gate.check("--policy", policy)
        assert done.status == 0, done.out
        assert "3 profiles" in done.out
    strict = json.loads(gate.check("--policy", "strict", "--format", "json").out)
    assert {each["id"] for each in strict["findings"]} == {"too-few-runs", "unverified-profile"}
