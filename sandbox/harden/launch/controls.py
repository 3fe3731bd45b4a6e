"""Which controls a sandbox asks for, which of them this host gives, and how each is read back from the kernel."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.errors import ControlUnavailable
from harden.kernel.features import Features
from harden.kernel.uapi import (
    LANDLOCK_FILE_RIGHTS_OF_ABI,
    LANDLOCK_NETWORK_RIGHTS_OF_ABI,
    LANDLOCK_SCOPES_OF_ABI,
)
from harden.launch.cgroup_limits import LIMITS, plan_limits
from harden.launch.demands import FIXES, NAMESPACES, ControlPlan, Demands, fix_of
from harden.launch.idmaps import id_maps
from harden.launch.ops import Check
from harden.launch.rlimits import rlimit_lines, rlimits_of
from harden.model.control import DEFAULT_REQUIREMENTS, Control, Enforcement, Requirement
from harden.model.sandbox import LandlockRules, NetworkMode, SandboxSpec, UserNamespaceMode

__all__ = ["FIXES", "NAMESPACES", "ControlPlan", "is_enforced", "plan_controls", "trim_landlock"]

_VIEW_TRIALS: Final = ("openat2", "tmpfs", "private-mounts", "mount-setattr", "move-mount", "procfs")


def is_enforced(controls: tuple[ControlPlan, ...], control: Control) -> bool:
    """Whether the plan puts `control` into force, wholly or in part."""
    return any(c.control is control and c.enforcement is not Enforcement.NOT_ENFORCED for c in controls)


def trim_landlock(rules: LandlockRules, abi: int) -> tuple[LandlockRules, str]:
    """The rules without the bits that ABI `abi` lacks, and what was lost ("" if nothing)."""
    known = min(abi, len(LANDLOCK_FILE_RIGHTS_OF_ABI) - 1)
    files = (1 << LANDLOCK_FILE_RIGHTS_OF_ABI[known]) - 1
    network = (1 << LANDLOCK_NETWORK_RIGHTS_OF_ABI[known]) - 1
    scopes = (1 << LANDLOCK_SCOPES_OF_ABI[known]) - 1
    lost = [
        name
        for name, value, mask in (
            ("file rights", rules.handled_files, files),
            ("TCP ports", rules.handled_network, network),
            ("scopes", rules.scoped, scopes),
        )
        if value & ~mask
    ]
    kept_files = rules.handled_files & files
    kept_network = rules.handled_network & network
    trimmed = msgspec.structs.replace(
        rules,
        handled_files=kept_files,
        handled_network=kept_network,
        scoped=rules.scoped & scopes,
        files=tuple(
            msgspec.structs.replace(rule, access=rule.access & kept_files)
            for rule in rules.files
            if rule.access & kept_files
        ),
        bind_tcp=rules.bind_tcp if kept_network & 1 else (),
        connect_tcp=rules.connect_tcp if kept_network & 2 else (),
    )
    return trimmed, f"Landlock ABI {abi} lacks some {' and '.join(lost)}" if lost else ""


def _namespaces(demands: Demands) -> None:
    spec, features = demands.spec, demands.features
    if not features.works("clone3"):
        demands.give_up(Control.PID_NAMESPACE, features.detail("clone3"))
        # Waiving one namespace does not help when the call that makes all of them is refused.
        raise ControlUnavailable(
            Control.PID_NAMESPACE.value, features.detail("clone3"), hint=fix_of(Control.USER_NAMESPACE)
        )
    for control, name in NAMESPACES.items():
        if control is Control.USER_NAMESPACE and spec.user_namespace is UserNamespaceMode.HOST:
            if not features.root:
                raise ControlUnavailable(
                    control.value, "--userns=host needs root", hint="run harden as root, or without --userns=host"
                )
            continue
        if control is Control.NETWORK_NAMESPACE and spec.network is NetworkMode.HOST:
            continue
        if not demands.wanted(control):
            continue
        reason = "" if features.works(control.value) else features.detail(control.value)
        if control is Control.USER_NAMESPACE and not reason and not features.works("id-maps"):
            reason = f"ids cannot be mapped: {features.detail('id-maps')}"
        if reason:
            demands.give_up(control, reason)
        elif control is Control.USER_NAMESPACE:
            demands.enforce(control, Check.ID_MAP, expected=id_maps(demands.spec, features).expected)
        else:
            demands.enforce(control, Check.NAMESPACE, expected=name.encode())


def _landlock(demands: Demands) -> LandlockRules | None:
    spec, features = demands.spec, demands.features
    if spec.landlock is None or not demands.wanted(Control.LANDLOCK):
        return None
    if features.landlock_abi == 0:
        demands.give_up(Control.LANDLOCK, features.detail("landlock"), enough=_apparmor_instead(demands))
        return None
    rules, lost = trim_landlock(spec.landlock, features.landlock_abi)
    count = len(rules.files) + len(rules.bind_tcp) + len(rules.connect_tcp)
    demands.enforce(Control.LANDLOCK, Check.LANDLOCK, number=count, partial=lost)
    return rules


def _apparmor(demands: Demands) -> None:
    label = demands.spec.apparmor
    if not demands.wanted(Control.APPARMOR):
        return
    if label is None:
        if Control.APPARMOR in demands.spec.requirements:
            demands.give_up(Control.APPARMOR, "no AppArmor profile was named")
    elif not demands.features.apparmor:
        demands.give_up(Control.APPARMOR, "AppArmor is not enabled in this kernel")
    elif label.problem:
        demands.give_up(Control.APPARMOR, label.problem)
    else:
        demands.enforce(Control.APPARMOR, Check.APPARMOR, expected=label.name.encode())


def _apparmor_instead(demands: Demands) -> bool:
    """Of Landlock and AppArmor one is enough, unless somebody asked for Landlock by name."""
    enforced = is_enforced(tuple(demands.plans), Control.APPARMOR)
    return enforced and Control.LANDLOCK not in demands.spec.requirements


def _others(demands: Demands, handled: frozenset[Control]) -> None:
    """Controls that a profile may ask for and this version does not set."""
    for control in Control:
        if control in handled or demands.requirement(control) is Requirement.OFF:
            continue
        demands.give_up(control, "this version of harden does not enforce it")


def plan_controls(spec: SandboxSpec, features: Features) -> tuple[tuple[ControlPlan, ...], LandlockRules | None]:
    """Decide about every control. Raises ControlUnavailable for a required one that the host does not give."""
    demands = Demands(spec, features)
    _namespaces(demands)
    failed = next((name for name in _VIEW_TRIALS if not features.works(name)), None)
    if failed is not None:
        # There is no sandbox to start without its file system: this one cannot be waived.
        raise ControlUnavailable(
            Control.FILESYSTEM_VIEW.value, features.detail(failed), hint=FIXES[Control.FILESYSTEM_VIEW]
        )
    demands.enforce(Control.FILESYSTEM_VIEW, Check.ROOT)
    if demands.wanted(Control.NO_NEW_PRIVS):
        demands.enforce(Control.NO_NEW_PRIVS, Check.NO_NEW_PRIVS)
    if demands.wanted(Control.CAPABILITIES):
        number = sum(1 << capability for capability in spec.capabilities)
        demands.enforce(Control.CAPABILITIES, Check.CAPABILITIES, number=number)
    _apparmor(demands)
    landlock = _landlock(demands)
    if not features.works("seccomp"):
        demands.give_up(Control.SECCOMP, features.detail("seccomp"))
        raise ControlUnavailable(Control.SECCOMP.value, features.detail("seccomp"), hint=FIXES[Control.SECCOMP])
    if spec.seccomp is not None and demands.wanted(Control.SECCOMP):
        demands.enforce(Control.SECCOMP, Check.SECCOMP, number=2)
    demands.enforce(Control.RLIMITS, Check.RLIMITS, expected=rlimit_lines(rlimits_of(spec)))
    plan_limits(demands)
    handled = frozenset(NAMESPACES) | {
        Control.FILESYSTEM_VIEW,
        Control.NO_NEW_PRIVS,
        Control.CAPABILITIES,
        Control.LANDLOCK,
        Control.APPARMOR,
        Control.SECCOMP,
        Control.RLIMITS,
        *LIMITS,
    }
    _others(demands, handled)
    demands.plans += _switched_off(demands)
    return tuple(demands.plans), landlock


def _switched_off(demands: Demands) -> list[ControlPlan]:
    """What is required unless the user says otherwise, and the user said so: the result must not look whole."""
    return [
        ControlPlan(control=control, enforcement=Enforcement.NOT_ENFORCED, reason="switched off")
        for control, requirement in DEFAULT_REQUIREMENTS.items()
        if requirement is Requirement.REQUIRED and not demands.wanted(control)
        if all(plan.control is not control for plan in demands.plans)
    ]
