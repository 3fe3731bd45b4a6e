"""Settings around harden that take features away: an outer filter, lockdown, sysctls. Read, not tried."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harden.kernel.features import Features
from harden.model.host_feature import HostFeature

__all__ = ["host_conditions", "user_namespace_fix"]

_SYSCTL: Final = Path("/proc/sys")


def _sysctl(name: str, root: Path) -> int | None:
    """None where this kernel has no such setting."""
    try:
        return int((root / name.replace(".", "/")).read_text())
    except (OSError, ValueError):
        return None


def user_namespace_fix(root: Path = _SYSCTL) -> str:
    """The settings of this very host that refuse user namespaces, or what else can."""
    wrong = []
    if _sysctl("user.max_user_namespaces", root) == 0:
        wrong.append("user.max_user_namespaces=65536")
    if _sysctl("kernel.unprivileged_userns_clone", root) == 0:
        wrong.append("kernel.unprivileged_userns_clone=1")
    if _sysctl("kernel.apparmor_restrict_unprivileged_userns", root) == 1:
        wrong.append("kernel.apparmor_restrict_unprivileged_userns=0")
    if wrong:
        return f"as root: sysctl -w {' '.join(wrong)}"
    return "boot a kernel with CONFIG_USER_NS=y; in a container, allow clone3 and CLONE_NEWUSER in its seccomp profile"


def _seccomp(features: Features) -> HostFeature:
    count = features.seccomp_filters
    return HostFeature(
        feature="no-outer-seccomp",
        works=count == 0,
        required=False,
        detail="no filter around harden" if count == 0 else f"harden itself runs under {count} seccomp filters",
        lost="what they refuse is refused in every sandbox too, whatever its profile grants",
        fix="run harden outside of the container, or with docker run --security-opt seccomp=unconfined",
    )


def _no_new_privs(status: Path) -> HostFeature:
    found = any(line.split() == ["NoNewPrivs:", "1"] for line in status.read_text().splitlines())
    return HostFeature(
        feature="privileges-can-be-gained",
        works=not found,
        required=False,
        detail="harden itself runs under no_new_privs" if found else "harden runs without no_new_privs",
        lost="newuidmap does not work: an ordinary user has his own id only",
        fix="start harden from a process without no_new_privs; docker run without --security-opt no-new-privileges",
    )


def _btf(path: Path) -> HostFeature:
    found = path.exists()
    return HostFeature(
        feature="btf",
        works=found,
        required=False,
        detail=f"{path}" if found else f"{path} is not there",
        lost="harden trace cannot record",
        fix="boot a kernel with CONFIG_DEBUG_INFO_BTF=y",
    )


def _lockdown(path: Path) -> tuple[HostFeature, ...]:
    try:
        text = path.read_text()
    except OSError:
        # Not built in, or not for this user to see: the recorder's own trial tells what it costs.
        return ()
    mode = text.partition("[")[2].partition("]")[0]
    return (
        HostFeature(
            feature="no-lockdown",
            works=mode != "confidentiality",
            required=False,
            detail=f"kernel lockdown: {mode}",
            lost="harden trace cannot record: BPF programs may not read kernel memory",
            fix="boot without lockdown=confidentiality",
        ),
    )


def _apparmor(features: Features, root: Path) -> tuple[HostFeature, ...]:
    restricted = _sysctl("kernel.apparmor_restrict_unprivileged_userns", root)
    if restricted is None or features.root:
        return ()
    return (
        HostFeature(
            feature="apparmor-userns",
            works=restricted == 0,
            required=False,
            detail=f"kernel.apparmor_restrict_unprivileged_userns = {restricted}",
            lost="an ordinary user's namespaces have no capabilities: no sandbox can be built",
            fix="as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    )


def _yama(root: Path) -> tuple[HostFeature, ...]:
    scope = _sysctl("kernel.yama.ptrace_scope", root)
    if scope is None:
        return ()
    return (
        HostFeature(
            feature="ptrace",
            works=scope < 3,
            required=True,
            detail=f"kernel.yama.ptrace_scope = {scope}",
            lost="what is in force cannot be read back before the program runs: no sandbox starts",
            fix="set kernel.yama.ptrace_scope=1 in /etc/sysctl.d and boot again: 3 cannot be taken back",
        ),
    )


def host_conditions(
    features: Features,
    *,
    sysctls: Path = _SYSCTL,
    status: Path = Path("/proc/self/status"),
    btf: Path = Path("/sys/kernel/btf/vmlinux"),
    lockdown: Path = Path("/sys/kernel/security/lockdown"),
) -> tuple[HostFeature, ...]:
    """One feature per condition that this host has a word about."""
    own_maps = () if os.geteuid() == 0 else (_no_new_privs(status),)
    return (
        _seccomp(features),
        *own_maps,
        *_apparmor(features, sysctls),
        *_yama(sysctls),
        _btf(btf),
        *_lockdown(lockdown),
    )
