"""The Kubernetes objects keep to the API's fields and to the profile."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import pytest
import yaml

from harden.model.profile import Profile
from harden.render.formats import FORMATS
from tests.recordings import capability, file, profile_of, run, small_profile, socket
from tests.render.kubernetes_api import check_object


def objects(profile: Profile) -> tuple[dict[str, Any], dict[str, Any]]:
    pod, policy = yaml.safe_load_all(FORMATS["kubernetes"].render(profile).content)
    for each in (pod, policy):
        check_object(each)
    return pod, policy


def context(profile: Profile) -> dict[str, Any]:
    found: dict[str, Any] = objects(profile)[0]["spec"]["containers"][0]["securityContext"]
    return found


def test_what_no_release_has_is_refused():
    pod, policy = objects(small_profile())
    for document, field in (
        (pod["spec"]["containers"][0]["securityContext"], "seccompProfil"),
        (policy["spec"], "out"),
    ):
        document[field] = {}
    for each in (pod, policy):
        with pytest.raises(kubernetes_validate.ValidationError, match="unexpected"):
            check_object(each)
    wrong = copy.deepcopy(objects(small_profile())[0])
    wrong["spec"]["containers"][0]["securityContext"]["runAsUser"] = "root"
    with pytest.raises(kubernetes_validate.ValidationError, match="not of type"):
        check_object(wrong)


def test_nothing_is_left_to_the_defaults():
    found = context(small_profile())
    assert found["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert found["allowPrivilegeEscalation"] is False
    assert found["seccompProfile"] == {"type": "Localhost", "localhostProfile": "profiles/app.seccomp.json"}
    assert found["appArmorProfile"] == {"type": "Localhost", "localhostProfile": "harden.app"}
    assert "add" not in context(profile_of(run()))["capabilities"]


def test_the_root_is_read_only_when_it_holds():
    reads = profile_of(run(files=(file("/etc/app.conf", "read"), file("/tmp/x", "create", "write"))))
    writes = profile_of(run(files=(file("/srv/app/x", "create", "write"),)))
    assert context(reads)["readOnlyRootFilesystem"] is True
    assert context(writes)["readOnlyRootFilesystem"] is False
    assert any("/srv/app" in warning for warning in FORMATS["kubernetes"].render(writes).warnings)
    volumes = [each["mountPath"] for each in objects(reads)[0]["spec"]["containers"][0]["volumeMounts"]]
    assert volumes == ["/tmp", "/var/tmp", "/run", "/dev/shm"]


def test_dollars_are_no_variables():
    pod, _ = objects(profile_of(run(workload={"argv": ("app", "$(HOME)", "$x", "$$")})))
    assert pod["spec"]["containers"][0]["args"] == ["$$(HOME)", "$$x", "$$$$"]


def test_a_user_that_is_not_root_is_demanded():
    found = context(profile_of(run(workload={"uid": 33, "gid": 34})))
    assert (found["runAsNonRoot"], found["runAsUser"], found["runAsGroup"]) == (True, 33, 34)


def test_the_network_policy_allows_the_ports_and_peers_of_the_profile():
    profile = profile_of(
        run(
            sockets=(
                socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=80),
                socket("bind", "AF_INET6", "SOCK_STREAM", address="::", port=80),
                socket("bind", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=81),
                socket("connect", "AF_INET", "SOCK_DGRAM", address="10.0.0.1", port=53),
                socket("connect", "AF_INET6", "SOCK_STREAM", address="fd00::1", port=443),
                socket("connect", "AF_INET", "SOCK_RAW", address="10.0.0.1", port=0),
            )
        )
    )
    spec = objects(profile)[1]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"protocol": "TCP", "port": 80}]}]
    assert spec["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"protocol": "UDP", "port": 53}]},
        {"to": [{"ipBlock": {"cidr": "fd00::1/128"}}], "ports": [{"protocol": "TCP", "port": 443}]},
    ]
    assert any(
        "TCP and UDP" in warning and "raw" in warning for warning in FORMATS["kubernetes"].render(profile).warnings
    )
    nothing = objects(profile_of(run(capabilities=(capability("CAP_CHOWN"),))))[1]["spec"]
    assert nothing["ingress"] == nothing["egress"] == []
