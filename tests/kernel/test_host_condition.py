"""What `doctor` says of the settings around harden: nothing about what is not there, and the very setting otherwise."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harden.kernel.host_condition import host_conditions, user_namespace_fix
from harden.model.host_feature import HostFeature
from tests.sandboxes import features


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "status").write_text("Name:\tx\nNoNewPrivs:\t0\n")
    (tmp_path / "lockdown").write_text("[none] integrity confidentiality\n")
    (tmp_path / "btf").touch()
    return tmp_path


def found(host: Path, **changes: object) -> dict[str, HostFeature]:
    known = msgspec.structs.replace(features(), **{"seccomp_filters": 0, **changes})
    paths = {name: host / name for name in ("status", "btf", "lockdown")}
    return {each.feature: each for each in host_conditions(known, sysctls=host / "sys", **paths)}


def sysctl(host: Path, name: str, value: int) -> None:
    file = host / "sys" / name.replace(".", "/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def test_a_good_host_has_nothing_missing(host):
    assert all(each.works for each in found(host).values())
    assert {"no-outer-seccomp", "btf", "no-lockdown"} <= set(found(host))


def test_each_condition_is_seen(host):
    sysctl(host, "kernel.yama.ptrace_scope", 3)
    sysctl(host, "kernel.apparmor_restrict_unprivileged_userns", 1)
    (host / "lockdown").write_text("none integrity [confidentiality]\n")
    (host / "btf").unlink()
    broken = found(host, seccomp_filters=2, euid=1000)
    assert not broken["no-lockdown"].works
    assert not broken["btf"].works
    assert not broken["ptrace"].works
    assert not broken["apparmor-userns"].works
    assert broken["no-outer-seccomp"].detail == "harden itself runs under 2 seccomp filters"
    assert all(each.lost and each.fix for each in broken.values())


def test_a_setting_that_this_kernel_lacks_is_not_spoken_of(host):
    (host / "lockdown").unlink()
    assert not {"no-lockdown", "ptrace", "apparmor-userns"} & set(found(host))


def test_the_fix_names_the_settings_that_are_wrong_and_no_others(tmp_path):
    assert user_namespace_fix(tmp_path / "sys").startswith("boot a kernel with CONFIG_USER_NS=y")
    sysctl(tmp_path, "user.max_user_namespaces", 1000)
    sysctl(tmp_path, "kernel.unprivileged_userns_clone", 0)
    assert user_namespace_fix(tmp_path / "sys") == "as root: sysctl -w kernel.unprivileged_userns_clone=1"
    sysctl(tmp_path, "user.max_user_namespaces", 0)
    sysctl(tmp_path, "kernel.apparmor_restrict_unprivileged_userns", 1)
    assert user_namespace_fix(tmp_path / "sys") == (
        "as root: sysctl -w user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1 "
        "kernel.apparmor_restrict_unprivileged_userns=0"
    )
