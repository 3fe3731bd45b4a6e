"""A sandbox's controls as they are decided one after the other, by what is asked for and what the host gives."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.errors import ControlUnavailable
from harden.kernel.features import Features
from harden.launch.ops import Check, Code, Op, Stage, op
from harden.model.control import DEFAULT_REQUIREMENTS, Control, Enforcement, Requirement
from harden.model.sandbox import SandboxSpec

__all__ = ["FIXES", "NAMESPACES", "ControlPlan", "Demands", "fix_of"]

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
    Control.DEVICES: "run harden as root in a writable cgroup v2, on a kernel with CONFIG_CGROUP_BPF=y",
}
_NAMESPACE_FIX: Final = (
    "boot a kernel with this namespace built in and its user.max_*_namespaces sysctl above 0; "
    "in a container, allow clone3 with it"
)


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


class Demands:
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

    def give_up(
        self, control: Control, reason: str, *, enough: bool = False, asked: bool = False, fix: str = ""
    ) -> None:
        """Not in force: an error, unless it is only preferred, was waived by name, or another control is `enough`.

        `asked`: it was asked for by value, so that it is required whatever the profile says. `fix`: instead of fix_of.
        """
        required = asked or self.requirement(control) is Requirement.REQUIRED
        if required and not enough and control not in self.spec.allow_degraded:
            raise ControlUnavailable(
                control.value, reason, hint=f"{fix or fix_of(control)}; or waive it: --allow-degraded={control.value}"
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
