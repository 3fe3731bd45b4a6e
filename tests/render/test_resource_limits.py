"""Limits in the formats that have words for them."""

from __future__ import annotations

import json
import shlex

import yaml

from harden.model.profile import Profile
from harden.render.formats import FORMATS
from tests.recordings import profile_of, run


def limited() -> Profile:
    return profile_of(run(peaks={"memory_cgroup_bytes": 40.0 * (1 << 20), "pids": 33.0, "open_files": 300.0}))


def text_of(name: str, profile: Profile) -> str:
    return FORMATS[name].render(profile).content.decode()


def test_systemd():
    lines = text_of("systemd", limited()).splitlines()
    at = lines.index("# Limits")
    assert lines[at + 1 : at + 4] == ["MemoryMax=134217728", "LimitNOFILE=1024", "TasksMax=128"]
    assert "# Limits" not in text_of("systemd", profile_of(run()))


def test_docker_and_podman():
    for engine in ("docker", "podman"):
        words = shlex.split(text_of(engine, limited()), comments=True)
        assert {"--memory=134217728", "--pids-limit=128", "--ulimit=nofile=1024:1024"} <= set(words)
        none = shlex.split(text_of(engine, profile_of(run())), comments=True)
        assert not [word for word in none if word.startswith(("--memory", "--pids", "--ulimit=nofile"))]


def test_kubernetes():
    pod, _ = yaml.safe_load_all(text_of("kubernetes", limited()))
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"memory": "134217728"}}
    assert any("processes and open files" in warning for warning in FORMATS["kubernetes"].render(limited()).warnings)
    pod, _ = yaml.safe_load_all(text_of("kubernetes", profile_of(run())))
    assert "resources" not in pod["spec"]["containers"][0]


def test_oci_bundle():
    document = json.loads(text_of("oci-bundle", limited()))
    resources = document["linux"]["resources"]
    assert (resources["memory"], resources["pids"]) == ({"limit": 134217728}, {"limit": 128})
    assert {"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024} in document["process"]["rlimits"]
    plain = json.loads(text_of("oci-bundle", profile_of(run())))
    assert plain["linux"]["resources"].keys() == {"devices"}
    assert [limit["type"] for limit in plain["process"]["rlimits"]] == ["RLIMIT_CORE"]
