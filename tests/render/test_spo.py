"""The operator's objects keep to its fields, and say what they leave out."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import yaml

from harden.model.profile import Profile
from harden.render.formats import FORMATS, Options
from harden.render.runtime_rights import runtimes
from tests.conftest import ROOT
from tests.recordings import file, profile_of, run, small_profile, socket

SCHEMA = json.loads((ROOT / "tests/data/security_profiles_operator.json").read_text())


def specs(profile: Profile) -> tuple[dict[str, Any], dict[str, Any]]:
    found = list(yaml.safe_load_all(FORMATS["spo"].render(profile).content))
    for each in found:
        jsonschema.Draft202012Validator(SCHEMA).validate(each)
    return found[0]["spec"], found[1]["spec"]


def test_seccomp_says_what_the_oci_profile_says_but_for_the_default_errno():
    oci = json.loads(FORMATS["seccomp"].render(small_profile()).content)
    assert oci.pop("defaultErrnoRet") == 1
    assert specs(small_profile())[0] == oci
    assert any("defaultErrnoRet" in warning for warning in FORMATS["spo"].render(small_profile()).warnings)


def test_what_a_runtime_calls_itself_is_added_on_request():
    rendered = FORMATS["spo"].render(small_profile(), Options(runtime=runtimes()["runc"]))
    seccomp, _ = yaml.safe_load_all(rendered.content)
    allowed = {name for entry in seccomp["spec"]["syscalls"][:1] for name in entry["names"]}
    assert "fstatfs" in allowed
    assert "fstatfs" not in {name for entry in specs(small_profile())[0]["syscalls"][:1] for name in entry["names"]}
    assert any(warning.startswith("added for runc: ") for warning in rendered.warnings)


def test_apparmor_has_the_paths_that_it_can_hold():
    profile = profile_of(
        run(
            files=(
                file("/srv/app/read", "read"),
                file("/srv/app/write", "write"),
                file("/srv/app/both", "read", "write"),
                file("/srv/app/folder", "list"),
                file("/srv/app/tool", "exec"),
                file("/srv/app/lib.so", "map"),
                file("/srv/app/a,b", "read"),
                file("/srv/app/a b", "write"),
                file("/srv/app/seen", "stat"),
            ),
            sockets=(socket("bind", "AF_INET6", "SOCK_STREAM", address="::", port=80),),
        )
    )
    abstract = specs(profile)[1]["abstract"]
    files = abstract["filesystem"]
    assert files["readOnlyPaths"] == ["/srv/app/folder", "/srv/app/folder/", "/srv/app/read"]
    assert files["writeOnlyPaths"] == ["/srv/app/write"]
    assert files["readWritePaths"] == ["/dev/null", "/srv/app/both"]
    assert abstract["executable"] == {
        "allowedExecutables": ["/srv/app/tool", "/usr/bin/app"],
        "allowedLibraries": ["/srv/app/lib.so"],
    }
    assert abstract["network"] == {"allowRaw": False, "allowedProtocols": {"allowTcp": True, "allowUdp": False}}
    warnings = FORMATS["spo"].render(profile).warnings
    assert "left out of the AppArmorProfile: /srv/app/a b, /srv/app/a,b" in warnings
