"""Which limits the cgroup v2 controllers of this host can enforce for a child of our own cgroup: cgroups(7)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from harden.kernel.mountinfo import Mount
from harden.model.control import Control

__all__ = ["CONTROLLERS", "Controller", "is_alone", "probe_controllers"]

CONTROLLERS: Final = (Control.CPU, Control.MEMORY, Control.PIDS, Control.IO, Control.CPUSET)
"""Controls that a controller of the same name enforces."""
_V1_NAMES: Final = {Control.IO: b"blkio"}
_OPTIONS: Final = {
    Control.CPU: "CONFIG_CFS_BANDWIDTH",
    Control.MEMORY: "CONFIG_MEMCG",
    Control.PIDS: "CONFIG_CGROUP_PIDS",
    Control.IO: "CONFIG_BLK_CGROUP and CONFIG_BLK_DEV_THROTTLING",
    Control.CPUSET: "CONFIG_CPUSETS",
}
_UNIFIED: Final = "boot with cgroup_no_v1=all, and under systemd with systemd.unified_cgroup_hierarchy=1 too"


class Controller(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one controller can be used; `reason` and `fix` where it cannot."""

    reason: str = ""
    fix: str = ""

    @property
    def works(self) -> bool:
        """Whether a limit can be set by it."""
        return not self.reason


def _words(cgroup: bytes, name: str) -> frozenset[str]:
    try:
        return frozenset(Path(os.fsdecode(cgroup), name).read_text().split())
    except OSError:
        return frozenset()


def _scope() -> str:
    user = "" if os.geteuid() == 0 else "--user "
    return f"systemd-run {user}--scope -p Delegate=yes -- harden ..."


def is_alone(cgroup: bytes) -> bool:
    """Whether a controller can be passed on from `cgroup`: it is the root, or holds no process but this one.

    The kernel's rule of no internal processes; the root, which has no cgroup.type, is exempt from it.
    """
    if not os.path.exists(os.path.join(cgroup, b"cgroup.type")):
        return True
    return _words(cgroup, "cgroup.procs") <= {str(os.getpid())}


def _on_v1(mounts: tuple[Mount, ...], control: Control) -> Mount | None:
    name = _V1_NAMES.get(control, control.value.encode())
    return next((mount for mount in mounts if mount.filesystem == b"cgroup" and name in mount.super_options), None)


def _delegation(cgroup: bytes, control: Control) -> Controller:
    """The hierarchy has the controller, and our cgroup was not given it."""
    path = os.fsdecode(cgroup)
    if os.geteuid() == 0:
        fix = f"echo +{control.value} > {os.path.dirname(path)}/cgroup.subtree_control; or {_scope()}"
    else:
        fix = (
            "as root: systemctl edit user@.service, add [Service] and Delegate=cpu cpuset io memory pids; "
            "then log in again"
        )
    return Controller(reason=f"the {control.value} controller is not delegated to {path}", fix=fix)


def _examine(mounts: tuple[Mount, ...], cgroup: bytes | None, *, writable: bool, control: Control) -> Controller:
    old = _on_v1(mounts, control)
    if old is not None:
        where = os.fsdecode(old.point)
        return Controller(reason=f"the {control.value} controller is on cgroup v1 ({where})", fix=_UNIFIED)
    if cgroup is None:
        return Controller(reason="there is no cgroup v2 here", fix="mount -t cgroup2 none /sys/fs/cgroup")
    if control.value not in _words(cgroup, "cgroup.controllers"):
        tops = [mount.point for mount in mounts if mount.filesystem == b"cgroup2"]
        if any(control.value in _words(top, "cgroup.controllers") for top in tops):
            return _delegation(cgroup, control)
        fix = f"boot a kernel with {_OPTIONS[control]}=y and without cgroup_disable={control.value}"
        return Controller(reason=f"this kernel has no {control.value} controller", fix=fix)
    path = os.fsdecode(cgroup)
    if not writable:
        return Controller(reason=f"the cgroup {path} is not writable for this user", fix=_scope())
    if control.value not in _words(cgroup, "cgroup.subtree_control") and not is_alone(cgroup):
        return Controller(
            reason=f"other processes are in the cgroup {path}, so that it cannot pass {control.value} on", fix=_scope()
        )
    return Controller()


def probe_controllers(
    mounts: tuple[Mount, ...], cgroup: bytes | None, *, writable: bool
) -> Mapping[Control, Controller]:
    """What is known of every controller without changing anything; `cgroup` is our own in the v2 hierarchy."""
    return {control: _examine(mounts, cgroup, writable=writable, control=control) for control in CONTROLLERS}
