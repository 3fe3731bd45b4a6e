"""What this host can enforce, by trial, with what is lost and how to fix it: the launcher's half of `harden doctor`."""

from __future__ import annotations

import errno
import os
from typing import Final

from harden.kernel.features import Features
from harden.kernel.host_condition import host_conditions, user_namespace_fix
from harden.kernel.probe import probe
from harden.model.control import Control
from harden.model.host_feature import HostFeature

__all__ = ["examine"]

_CONTAINER: Final = "in a container, allow the call in its seccomp profile"
_USERNS: Final = "the settings that refuse user namespaces"
"""Stands for user_namespace_fix(), which is about this very host."""
_NAMESPACE: Final = "boot a kernel with it built in and its user.max_*_namespaces sysctl above 0"

_TRIALS: Final[tuple[tuple[str, bool, str, str], ...]] = (
    ("clone3", True, "no sandbox can be started", f"boot Linux 5.7 or newer; {_CONTAINER}"),
    ("user-namespace", True, "uid 0 inside would be the host's uid 0; nothing works for ordinary users", _USERNS),
    ("id-maps", True, "ids cannot be mapped in a new user namespace", _USERNS),
    ("nested-user-namespace", True, "a program with CAP_SYS_ADMIN could unmount the masks of /proc", _USERNS),
    ("mount-namespace", True, "no own view of the file system", _NAMESPACE),
    ("pid-namespace", True, "the program would see and signal the host's processes", _NAMESPACE),
    ("network-namespace", True, "the program would reach the host's network", _NAMESPACE),
    ("ipc-namespace", True, "the program would reach the host's System V IPC and message queues", _NAMESPACE),
    ("uts-namespace", True, "the program could see and change the host's name", _NAMESPACE),
    ("cgroup-namespace", True, "the program would see where in the host's cgroups it is", _NAMESPACE),
    (
        "time-namespace",
        True,
        "the program shares the host's boot and monotonic clocks",
        f"boot Linux 5.6+; {_NAMESPACE}",
    ),
    ("openat2", True, "mount points could not be resolved safely", f"boot Linux 5.6 or newer; {_CONTAINER}"),
    ("tmpfs", True, "no own root, /tmp or /dev", f"boot Linux 5.2 or newer with CONFIG_TMPFS=y; {_CONTAINER}"),
    ("private-mounts", True, "mounts could leak to the host", f"boot Linux 5.12 or newer; {_CONTAINER}"),
    ("mount-setattr", True, "files could not be shown read-only", f"boot Linux 5.12 or newer; {_CONTAINER}"),
    ("move-mount", True, "no own view of the file system", f"boot Linux 5.2 or newer; {_CONTAINER}"),
    (
        "procfs",
        True,
        "no own /proc",
        "leave the host's /proc without masks (docker: --security-opt systempaths=unconfined)",
    ),
    ("no-new-privs", True, "set-user-id programs would gain privileges", _CONTAINER),
    ("seccomp", True, "system calls cannot be filtered", f"boot a kernel with CONFIG_SECCOMP_FILTER=y; {_CONTAINER}"),
    (
        "seccomp-notify",
        False,
        "harden trace can only record with BPF",
        f"boot Linux 5.5 or newer; nothing that holds a seccomp listener may run harden; {_CONTAINER}",
    ),
    (
        "landlock",
        True,
        "files and ports cannot be restricted by path",
        f"boot Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK=y and landlock in lsm=; {_CONTAINER}",
    ),
    ("pidfd", True, "processes could be mixed up", f"boot Linux 5.3 or newer; {_CONTAINER}"),
    ("hostname", True, "no own host name", _CONTAINER),
    ("loopback", True, "no loopback interface inside", _CONTAINER),
    ("session-keyring", False, "the session keyring is shared with the host", "boot a kernel with CONFIG_KEYS=y"),
    (
        "user-overlay",
        False,
        "an ordinary user's trace cannot write into its working folder",
        "boot Linux 6.6 or newer with CONFIG_OVERLAY_FS=y and CONFIG_TMPFS_XATTR=y",
    ),
)


_LIMITS: Final = {
    Control.CPU: "--cpus is refused",
    Control.MEMORY: "--memory, --memory-high and --swap are refused, learned limits are not enforced; the peak of a "
    "recording is what its processes were seen to have",
    Control.PIDS: "--pids is refused, learned limits are not enforced; only BPF tells a recording's peak of processes",
    Control.IO: "--io is refused",
    Control.CPUSET: "--cpuset is refused",
}


def _finding(feature: str, works: bool, *, required: bool, detail: str, lost: str, fix: str) -> HostFeature:
    return HostFeature(feature=feature, works=works, required=required, detail=detail, lost=lost, fix=fix)


def _cgroup(features: Features) -> tuple[HostFeature, ...]:
    mounted = features.cgroup is not None
    where = features.cgroup.decode(errors="replace") if features.cgroup else "there is no cgroup2 mount"
    writable = features.cgroup_writable and features.works("clone-into-cgroup")
    unwritable = f"{where}: not writable" if not features.cgroup_writable else features.detail("clone-into-cgroup")
    return (
        _finding(
            "cgroup-v2",
            mounted,
            required=False,
            detail=where,
            lost="BPF cannot record, and nothing can be limited",
            fix="mount -t cgroup2 none /sys/fs/cgroup (or boot with systemd.unified_cgroup_hierarchy=1)",
        ),
        _finding(
            "clone-into-cgroup",
            writable,
            required=False,
            detail="works" if writable else unwritable,
            lost="no cgroup of its own: BPF cannot record, and nothing can be limited",
            fix="run as root, or have a cgroup delegated: systemd-run --user --scope -p Delegate=yes",
        ),
        _finding(
            "cgroup-kill",
            features.cgroup_kill,
            required=False,
            detail="works" if features.cgroup_kill else "there is no cgroup.kill",
            lost="helper commands are not ended together; the pid namespace still ends the program's",
            fix="boot Linux 5.14 or newer with cgroup v2",
        ),
        *(
            _finding(
                control.value,
                state.works,
                required=False,
                detail=state.reason or "works",
                lost=_LIMITS[control],
                fix=state.fix,
            )
            for control, state in features.controllers.items()
        ),
        _finding(
            "devices",
            features.works("devices"),
            required=False,
            detail=features.detail("devices"),
            lost="--device is refused: devices cannot be limited to a list",
            fix="run harden as root in a writable cgroup v2, on a kernel with CONFIG_CGROUP_BPF=y",
        ),
    )


def _id_ranges(features: Features) -> tuple[HostFeature, ...]:
    if features.root:
        return ()
    ranges = features.id_ranges
    return (
        _finding(
            "id-ranges",
            ranges.usable,
            required=False,
            detail=ranges.reason or f"uids from {ranges.uids.first if ranges.uids else 0}",
            lost="--user and --groups are refused: only the own id can be mapped",
            fix=ranges.fix,
        ),
    )


def _errno(number: int) -> str:
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


def _file_systems(features: Features) -> tuple[HostFeature, ...]:
    if not features.root:
        return ()
    root_idmap, root_overlay = features.idmap.get(b"/", 22), features.overlay.get(b"/", 22)
    return (
        _finding(
            "idmapped-root",
            root_idmap == 0,
            required=False,
            detail="works" if root_idmap == 0 else f"mount_setattr(MOUNT_ATTR_IDMAP): {_errno(root_idmap)}",
            lost="the host's files belong to nobody inside",
            fix="keep / on ext4, xfs, btrfs or another file system that can be id-mapped",
        ),
        _finding(
            "overlay",
            root_overlay == 0,
            required=False,
            detail="works" if root_overlay == 0 else f"fsconfig(overlay over /): {_errno(root_overlay)}",
            lost="a traced program cannot write to a copy of the host's files",
            fix="modprobe overlay; keep / on a file system that can be a lower layer",
        ),
    )


def examine(features: Features | None = None) -> tuple[HostFeature, ...]:
    """Everything about launching, most basic first. Raises HardenError when nothing can be tried at all."""
    features = probe() if features is None else features
    found = [
        _finding(
            name,
            features.works(name),
            required=required,
            detail=features.detail(name),
            lost=lost,
            fix=user_namespace_fix() if fix is _USERNS else fix,
        )
        for name, required, lost, fix in _TRIALS
    ]
    apparmor = _finding(
        "apparmor",
        features.apparmor,
        required=False,
        detail="enabled" if features.apparmor else "not enabled in this kernel",
        lost="AppArmor profiles cannot be enforced; Landlock restricts files",
        fix="boot with apparmor=1 security=apparmor on a kernel with CONFIG_SECURITY_APPARMOR=y",
    )
    abi = _finding(
        "landlock-abi",
        features.landlock_abi >= 6,
        required=False,
        detail=f"ABI {features.landlock_abi}",
        lost="some of: renames across folders (2), truncation (3), TCP ports (4), device ioctls (5), scopes (6)",
        fix="boot Linux 6.12 or newer for ABI 6",
    )
    inside = (*found, abi, *_cgroup(features), *_id_ranges(features), *_file_systems(features), apparmor)
    return (*inside, *host_conditions(features))
