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
from harden.launch.ops import FIRST_ID, Check, Code, Op, Stage, op
from harden.model.control import DEFAULT_REQUIREMENTS, Control, Enforcement, Requirement
from harden.model.sandbox import LandlockRules, NetworkMode, SandboxSpec, UserNamespaceMode

__all__ = ["FIXES", "NAMESPACES", "ControlPlan", "id_maps", "is_enforced", "plan_controls", "trim_landlock"]

NAMESPACES: Final = {
    Control.USER_NAMESPACE: "user",
    Control.MOUNT_NAMESPACE: "mnt",
    Control.PID_NAMESPACE: "pid",
    Control.NETWORK_NAMESPACE: "net",
    Control.IPC_NAMESPACE: "ipc",
    Control.UTS_NAMESPACE: "uts",
    Control.CGROUP_NAMESPACE: "cgroup",
    Control.TIME_NAMESPACE: "time",
}
"""Control → its file in /proc/PID/ns."""

FIXES: Final = {
    Control.SECCOMP: "boot a kernel with CONFIG_SECCOMP_FILTER=y; in a container, allow the seccomp system call",
    Control.NO_NEW_PRIVS: "in a container, allow the prctl system call",
    Control.CAPABILITIES: "run harden with user namespaces, or with the capabilities that the program is to have",
    Control.LANDLOCK: "boot Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK=y and landlock in the lsm= parameter; "
    "in a container, allow the landlock_* system calls",
    Control.APPARMOR: "boot with apparmor=1 security=apparmor, install apparmor_parser, and run harden as root",
    Control.USER_NAMESPACE: "sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=65536 and, on Ubuntu, "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container, allow clone3 and CLONE_NEWUSER",
    Control.FILESYSTEM_VIEW: "boot Linux 5.12 or newer; in a container, allow openat2, open_tree, move_mount, fsopen, "
    "fsconfig, fsmount and mount_setattr, and leave /proc without masks",
}
_NAMESPACE_FIX: Final = (
    "boot a kernel with this namespace built in and its user.max_*_namespaces sysctl above 0; "
    "in a container, allow clone3 with it"
)
_VIEW_TRIALS: Final = ("openat2", "tmpfs", "private-mounts", "mount-setattr", "move-mount", "procfs")


class ControlPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan does about one control that was asked for."""

    control: Control
    enforcement: Enforcement
    reason: str = ""
    check: Check = Check.NOTHING
    expected: bytes = b""
    number: int = 0
    value: str = ""

    def encode(self) -> Op:
        """The check of the read-back."""
        order = (Enforcement.NOT_ENFORCED, Enforcement.PARTIALLY_ENFORCED, Enforcement.FULLY_ENFORCED)
        return op(
            Stage.CHECK,
            Code.CHECK,
            f"verify {self.control.value}" if self.check else f"{self.control.value} is not in force: {self.reason}",
            strings=(self.control.value.encode(), self.expected, self.reason.encode(), self.value.encode()),
            slots=(self.check, order.index(self.enforcement)),
            numbers=(self.number,),
            sentence=f"{self.control.value}: the kernel says that it is not in force as asked",
            hint="the program was not started; please report this with the output of `harden doctor`",
        )


def is_enforced(controls: tuple[ControlPlan, ...], control: Control) -> bool:
    """Whether the plan puts `control` into force, wholly or in part."""
    return any(c.control is control and c.enforcement is not Enforcement.NOT_ENFORCED for c in controls)


class _Demands:
    """Decides for one control after the other, by the requirement and what the host gives."""

    def __init__(self, spec: SandboxSpec, features: Features) -> None:
        self.spec = spec
        self.features = features
        self.plans: list[ControlPlan] = []

    def requirement(self, control: Control) -> Requirement:
        default = DEFAULT_REQUIREMENTS.get(control, Requirement.OFF)
        return self.spec.requirements.get(control, default)

    def wanted(self, control: Control) -> bool:
        return self.requirement(control) is not Requirement.OFF

    def give_up(self, control: Control, reason: str, *, enough: bool = False) -> None:
        """Not in force: an error, unless it is only preferred, was waived by name, or another control is `enough`."""
        required = self.requirement(control) is Requirement.REQUIRED
        if required and not enough and control not in self.spec.allow_degraded:
            raise ControlUnavailable(
                control.value, reason, hint=f"{fix_of(control)}; or waive it: --allow-degraded={control.value}"
            )
        self.plans.append(ControlPlan(control=control, enforcement=Enforcement.NOT_ENFORCED, reason=reason))

    def enforce(
        self,
        control: Control,
        check: Check,
        *,
        expected: bytes = b"",
        number: int = 0,
        partial: str = "",
    ) -> None:
        enforcement = Enforcement.PARTIALLY_ENFORCED if partial else Enforcement.FULLY_ENFORCED
        self.plans.append(
            ControlPlan(
                control=control,
                enforcement=enforcement,
                reason=partial,
                check=check,
                expected=expected,
                number=number,
            )
        )


def fix_of(control: Control) -> str:
    """What would make the host give this control."""
    if control in NAMESPACES:
        return FIXES.get(control, _NAMESPACE_FIX)
    return FIXES.get(control, "this version of harden cannot enforce it")


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


def _namespaces(demands: _Demands) -> None:
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
            demands.enforce(control, Check.ID_MAP, expected=_expected_map(demands))
        else:
            demands.enforce(control, Check.NAMESPACE, expected=name.encode())


def id_maps(spec: SandboxSpec, features: Features) -> tuple[bytes, bytes, bytes, bytes]:
    """uid and gid map of init's user namespace, then of the payload's."""
    if not features.root:
        uid, gid = features.euid, features.egid
        return b"0 %d 1" % uid, b"0 %d 1" % gid, b"%d 0 1" % uid, b"%d 0 1" % gid
    if spec.user_namespace is UserNamespaceMode.IDENTITY:
        everything = b"0 0 4294967295"
        return everything, everything, everything, everything
    shifted = b"0 " + FIRST_ID + b" 65536"
    return shifted, shifted, b"0 0 65536", b"0 0 65536"


def _expected_map(demands: _Demands) -> bytes:
    features = demands.features
    if not features.root:
        return b"%d %d 1;%d %d 1" % (features.euid, features.euid, features.egid, features.egid)
    outer = id_maps(demands.spec, features)
    return outer[0] + b";" + outer[1]


def _landlock(demands: _Demands) -> LandlockRules | None:
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


def _apparmor(demands: _Demands) -> None:
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


def _apparmor_instead(demands: _Demands) -> bool:
    """Of Landlock and AppArmor one is enough, unless somebody asked for Landlock by name."""
    enforced = is_enforced(tuple(demands.plans), Control.APPARMOR)
    return enforced and Control.LANDLOCK not in demands.spec.requirements


def _others(demands: _Demands, handled: frozenset[Control]) -> None:
    """Controls that a profile may ask for and this version does not set."""
    for control in Control:
        if control in handled or demands.requirement(control) is Requirement.OFF:
            continue
        demands.give_up(control, "this version of harden does not enforce it")


def plan_controls(spec: SandboxSpec, features: Features) -> tuple[tuple[ControlPlan, ...], LandlockRules | None]:
    """Decide about every control. Raises ControlUnavailable for a required one that the host does not give."""
    demands = _Demands(spec, features)
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
        demands.enforce(Control.SECCOMP, Check.SECCOMP, number=features.seccomp_filters + 2)
    demands.enforce(Control.RLIMITS, Check.RLIMIT_CORE)
    handled = frozenset(NAMESPACES) | {
        Control.FILESYSTEM_VIEW,
        Control.NO_NEW_PRIVS,
        Control.CAPABILITIES,
        Control.LANDLOCK,
        Control.APPARMOR,
        Control.SECCOMP,
        Control.RLIMITS,
    }
    _others(demands, handled)
    demands.plans += _switched_off(demands)
    return tuple(demands.plans), landlock


def _switched_off(demands: _Demands) -> list[ControlPlan]:
    """What is required unless the user says otherwise, and the user said so: the result must not look whole."""
    return [
        ControlPlan(control=control, enforcement=Enforcement.NOT_ENFORCED, reason="switched off")
        for control, requirement in DEFAULT_REQUIREMENTS.items()
        if requirement is Requirement.REQUIRED and not demands.wanted(control)
        if all(plan.control is not control for plan in demands.plans)
    ]
