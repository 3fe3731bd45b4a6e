"""The controls harden can enforce, by the names that flags, JSON and messages use everywhere."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = ["DEFAULT_REQUIREMENTS", "Control", "Enforcement", "Requirement"]


class Control(enum.StrEnum):
    """One thing that is enforced."""

    SECCOMP = "seccomp"
    CAPABILITIES = "capabilities"
    NO_NEW_PRIVS = "no-new-privs"
    LANDLOCK = "landlock"
    APPARMOR = "apparmor"
    SELINUX = "selinux"
    USER_NAMESPACE = "user-namespace"
    MOUNT_NAMESPACE = "mount-namespace"
    PID_NAMESPACE = "pid-namespace"
    NETWORK_NAMESPACE = "network-namespace"
    IPC_NAMESPACE = "ipc-namespace"
    UTS_NAMESPACE = "uts-namespace"
    CGROUP_NAMESPACE = "cgroup-namespace"
    TIME_NAMESPACE = "time-namespace"
    FILESYSTEM_VIEW = "filesystem-view"
    CPU = "cpu"
    MEMORY = "memory"
    PIDS = "pids"
    IO = "io"
    CPUSET = "cpuset"
    DEVICES = "devices"
    RLIMITS = "rlimits"
    EGRESS = "egress"


class Requirement(enum.StrEnum):
    """What happens when a control cannot be enforced."""

    REQUIRED = "required"
    """The program is not started."""
    PREFERRED = "preferred"
    """The program starts; the control is reported as not in force."""
    OFF = "off"
    """The control is not asked for."""


class Enforcement(enum.StrEnum):
    """The result words of a run, as Landlock's own libraries use them."""

    FULLY_ENFORCED = "FULLY_ENFORCED"
    PARTIALLY_ENFORCED = "PARTIALLY_ENFORCED"
    NOT_ENFORCED = "NOT_ENFORCED"


DEFAULT_REQUIREMENTS: Final[Mapping[Control, Requirement]] = {
    Control.SECCOMP: Requirement.REQUIRED,
    Control.CAPABILITIES: Requirement.REQUIRED,
    Control.NO_NEW_PRIVS: Requirement.REQUIRED,
    Control.LANDLOCK: Requirement.REQUIRED,
    Control.APPARMOR: Requirement.PREFERRED,
    Control.USER_NAMESPACE: Requirement.REQUIRED,
    Control.MOUNT_NAMESPACE: Requirement.REQUIRED,
    Control.PID_NAMESPACE: Requirement.REQUIRED,
    Control.NETWORK_NAMESPACE: Requirement.REQUIRED,
    Control.IPC_NAMESPACE: Requirement.REQUIRED,
    Control.UTS_NAMESPACE: Requirement.REQUIRED,
    Control.CGROUP_NAMESPACE: Requirement.REQUIRED,
    Control.TIME_NAMESPACE: Requirement.REQUIRED,
    Control.FILESYSTEM_VIEW: Requirement.REQUIRED,
}
"""What a profile demands unless its NAME.local.toml says otherwise."""
