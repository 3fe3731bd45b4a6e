"""config.json: what the runtime-spec asks for, and what the profile grants."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harden.errors import Inexpressible
from harden.model.profile import Profile
from harden.model.sandbox import NetworkMode
from harden.model.workload import StoredBind
from harden.render.formats import FORMATS
from tests.recordings import file, profile_of, run, small_profile


def config(profile: Profile) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FORMATS["oci-bundle"].render(profile).content)
    return found


def test_the_process_is_the_stored_workload_with_the_profiles_privileges():
    workload = {"argv": ("app", "-x", "é"), "uid": 33, "gid": 34, "environment_values": {"LANG": "C"}}
    process = config(profile_of(run(workload=workload)))["process"]
    assert process["args"] == ["/usr/bin/app", "-x", "é"]
    assert process["user"] == {"uid": 33, "gid": 34}
    assert process["env"] == ["LANG=C"]
    assert process["cwd"] == "/srv/app"
    assert process["noNewPrivileges"] is True
    assert process["rlimits"] == [{"type": "RLIMIT_CORE", "hard": 0, "soft": 0}]
    sets = config(small_profile())["process"]["capabilities"]
    assert sets == json.loads(FORMATS["capabilities"].render(small_profile()).content)


def test_seccomp_and_landlock_are_the_other_exports():
    document = config(small_profile())
    assert document["linux"]["seccomp"] == json.loads(FORMATS["seccomp"].render(small_profile()).content)
    annotation = json.loads(document["annotations"]["harden.landlock"])
    assert annotation == json.loads(FORMATS["landlock"].render(small_profile()).content)


def test_mounts_are_the_minimal_view():
    binds = (StoredBind(source="/data", target="/mnt/x", writable=True), StoredBind(source="/ro", target="/mnt/y"))
    profile = profile_of(
        run(files=(file("/etc/app.conf", "read"), file("/srv/app/x", "create")), workload={"binds": binds})
    )
    mounts = {mount["destination"]: mount for mount in config(profile)["mounts"]}
    assert "ro" in mounts["/usr"]["options"]
    assert "ro" in mounts["/etc/app.conf"]["options"]
    assert "rw" in mounts["/srv/app"]["options"]
    assert (mounts["/mnt/x"]["source"], mounts["/mnt/y"]["source"]) == ("/data", "/ro")
    assert "rw" in mounts["/mnt/x"]["options"]
    assert "ro" in mounts["/mnt/y"]["options"]
    assert "/etc" not in mounts
    assert mounts["/tmp"]["type"] == "tmpfs"
    assert all("nosuid" in mount["options"] for mount in mounts.values())
    places = [mount["destination"] for mount in config(profile)["mounts"]]
    assert places.index("/dev") < places.index("/dev/pts")


def test_namespaces_and_masks_follow_the_profile():
    kinds = {each["type"] for each in config(small_profile())["linux"]["namespaces"]}
    assert kinds == {"pid", "ipc", "uts", "mount", "cgroup", "network"}
    shared = profile_of(run(workload={"network": NetworkMode.HOST}))
    assert "network" not in {each["type"] for each in config(shared)["linux"]["namespaces"]}
    linux = config(profile_of(run(files=(file("/proc/kcore", "read"), file("/proc/sys/net/x", "write")))))["linux"]
    assert "/proc/kcore" not in linux["maskedPaths"]
    assert "/proc/keys" in linux["maskedPaths"]
    assert "/proc/sys" not in linux["readonlyPaths"]
    assert config(small_profile())["linux"]["readonlyPaths"][-2:] == ["/proc/sys", "/proc/sysrq-trigger"]


def test_a_command_that_json_cannot_hold_is_refused():
    with pytest.raises(Inexpressible, match="not UTF-8"):
        config(profile_of(run(workload={"argv": ("app", "\\xff")})))


def test_a_masked_secret_is_said_to_be_missing():
    profile = profile_of(run(workload={"argv": ("app", "[masked]"), "environment_values": {"TOKEN": "[masked]"}}))
    rendered = FORMATS["oci-bundle"].render(profile)
    assert json.loads(rendered.content)["process"]["env"] == []
    assert any("secret" in warning for warning in rendered.warnings)
    assert any("1 environment variables" in warning for warning in rendered.warnings)
