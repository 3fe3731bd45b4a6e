"""config.json of an OCI bundle (runtime-spec 1.0.2, config.md, config-linux.md): the host view in an empty `rootfs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from harden.errors import Inexpressible
from harden.model.path_text import from_text, is_utf8, to_text
from harden.model.profile import Profile
from harden.model.resource_limit import LimitName
from harden.model.sandbox import NetworkMode, UserNamespaceMode
from harden.render.ability import changes_beneath, has_files, has_network, uses_beneath
from harden.render.asked_limits import limits_of, memory_and_swap, rlimits_of
from harden.render.capabilities import SETS
from harden.render.command import Command, command_of
from harden.render.host_view import PRIVATE_FOLDERS, HostView, host_view
from harden.render.landlock import render_landlock
from harden.render.rendered import Limit, Rendered
from harden.render.seccomp import FILTER_LIMITS, seccomp_document
from harden.render.widening_text import summarize

__all__ = ["ISOLATION", "LANDLOCK_ANNOTATION", "LIMITS", "render_oci_bundle"]

ISOLATION: Final = frozenset({"cpus", "cpuset", "groups", "hostname", "memory", "pids", "rlimits", "swap", "tmpfs"})
_CPU_PERIOD_US: Final = 100_000


def _is_shifted(profile: Profile) -> bool:
    return profile.workload.user_namespace is UserNamespaceMode.SHIFTED


LIMITS: Final = (
    *FILTER_LIMITS,
    Limit("Landlock: the rules are an annotation, which no runtime applies yet", has_files),
    Limit("network addresses and ports: the network namespace has loopback or is the host's", has_network),
    Limit("user namespace: which ids of the host are free is not in the profile; add linux.uidMappings", _is_shifted),
    Limit("time namespace: runtimes before runtime-spec 1.1 refuse it"),
)
LANDLOCK_ANNOTATION: Final = "harden.landlock"
_MASKED: Final = (
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug"),
    *("/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"),
)
_READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_PLAIN: Final = ["nosuid", "noexec", "nodev"]
_KERNEL_MOUNTS: Final[tuple[dict[str, Any], ...]] = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": _PLAIN},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755", "size=64k"],
    },
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    },
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*_PLAIN, "mode=1777", "size=64m"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": _PLAIN},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*_PLAIN, "ro"]},
)


def render_oci_bundle(profile: Profile) -> Rendered:
    """The configuration; Inexpressible where JSON cannot hold what has to be in it."""
    view, command = host_view(profile), command_of(profile)
    seccomp, warnings = seccomp_document(profile)
    mounts, left_out = _mounts(profile, view)
    isolation = profile.workload.isolation
    if isolation.swap is not None and memory_and_swap(profile) is None:
        left_out.append(f"--swap {isolation.swap}: left out, a runtime limits it with memory only")
    granted = list(profile.rights.all_files())
    document = {
        "ociVersion": "1.0.2",
        "process": _process(profile, command),
        "root": {"path": "rootfs", "readonly": True},
        "hostname": isolation.hostname or "harden",
        "mounts": mounts,
        "annotations": {LANDLOCK_ANNOTATION: json.dumps(json.loads(render_landlock(profile).content))},
        "linux": {
            "namespaces": [{"type": kind} for kind in _namespaces(profile)],
            "resources": _resources(profile),
            "seccomp": seccomp,
            "maskedPaths": [path for path in _MASKED if not uses_beneath(granted, path.encode())],
            "readonlyPaths": [path for path in _READ_ONLY if not changes_beneath(granted, path.encode())],
        },
    }
    return Rendered(
        content=json.dumps(document, indent=2).encode() + b"\n",
        warnings=(*warnings, *command.warnings, *left_out, *summarize(view.widenings)),
    )


def _process(profile: Profile, command: Command) -> dict[str, Any]:
    workload = profile.workload
    capabilities = sorted(capability.name for capability in profile.rights.all_capabilities())
    words = [_text(word, "the command") for word in (command.program, *command.arguments)]
    environment = (b"%s=%s" % pair for pair in command.environment)
    return {
        "terminal": False,
        "user": {"uid": workload.uid or 0, "gid": workload.gid or 0}
        | ({"additionalGids": list(workload.isolation.groups)} if workload.isolation.groups else {}),
        "args": words,
        "env": [_text(variable, "the environment") for variable in environment],
        "cwd": _text(command.cwd, "the working folder"),
        "capabilities": dict.fromkeys(SETS, capabilities),
        "rlimits": list(_rlimits(profile)),
        "noNewPrivileges": True,
    }


def _rlimits(profile: Profile) -> Iterator[dict[str, Any]]:
    for name, soft, hard in rlimits_of(profile):
        yield {"type": f"RLIMIT_{name.upper()}", "hard": hard, "soft": soft}
    most = limits_of(profile).get(LimitName.NOFILE)
    if most is not None:
        yield {"type": "RLIMIT_NOFILE", "hard": most, "soft": most}


def _resources(profile: Profile) -> dict[str, Any]:
    limits, isolation = limits_of(profile), profile.workload.isolation
    keys = {"memory": LimitName.MEMORY, "pids": LimitName.PIDS}
    found: dict[str, dict[str, Any]] = {key: {"limit": limits[name]} for key, name in keys.items() if name in limits}
    both = memory_and_swap(profile)
    if both is not None:
        found["memory"]["swap"] = both
    cpu: dict[str, Any] = {}
    if isolation.cpus is not None:
        cpu |= {"quota": round(isolation.cpus * _CPU_PERIOD_US), "period": _CPU_PERIOD_US}
    if isolation.cpuset:
        cpu["cpus"] = isolation.cpuset
    return {"devices": [{"allow": False, "access": "rwm"}], **found, **({"cpu": cpu} if cpu else {})}


def _text(word: bytes, what: str) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise Inexpressible(
            f"{to_text(word)}: {what} is not UTF-8, and JSON holds nothing else",
            hint="harden run and the format bubblewrap take any bytes",
        ) from None


def _namespaces(profile: Profile) -> Iterator[str]:
    yield from ("pid", "ipc", "uts", "mount", "cgroup")
    if profile.workload.network is NetworkMode.NONE:
        yield "network"


def _mounts(profile: Profile, view: HostView) -> tuple[list[dict[str, Any]], list[str]]:
    """Our own first, then the host's and what was asked for; what JSON cannot name is left out, and said."""
    mounts: list[dict[str, Any]] = [*_KERNEL_MOUNTS]
    mounts += [_empty(folder, "mode=1777") for folder in PRIVATE_FOLDERS]
    warnings: list[str] = []
    inner: list[dict[str, Any]] = []
    for empty in profile.workload.isolation.tmpfs:
        place = from_text(empty.target)
        if not is_utf8(place):
            warnings.append(f"--tmpfs {empty.target}: left out, JSON cannot hold a name that is not UTF-8")
            continue
        inner.append(_empty(place, "mode=1777", "" if empty.size is None else f"size={empty.size}"))
    for mount in view.mounts:
        try:
            source, target = mount.source.decode("utf-8"), mount.target.decode("utf-8")
        except UnicodeDecodeError:
            warnings.append(f"{to_text(mount.target)}: left out, JSON cannot hold a name that is not UTF-8")
            continue
        options = ["rbind", "nosuid", "nodev", "rw" if mount.writable else "ro"]
        inner.append({"destination": target, "type": "bind", "source": source, "options": options})
    # What is mounted on a place later covers what was there.
    mounts += sorted(inner, key=lambda mount: str(mount["destination"]).split("/"))
    for folder in view.folders:
        if not is_utf8(folder):
            warnings.append(f"{to_text(folder)}: left out, JSON cannot hold a name that is not UTF-8")
            continue
        mounts.append(_empty(folder, "mode=755"))
    return mounts, warnings


def _empty(folder: bytes, mode: str, size: str = "size=64m") -> dict[str, Any]:
    options = ["nosuid", "nodev", mode, *([size] if size else [])]
    return {"destination": folder.decode("utf-8"), "type": "tmpfs", "source": "tmpfs", "options": options}
