"""SandboxSpec and Features → Plan: everything is decided here, nothing is done."""

from __future__ import annotations

import os
import stat
from typing import Final

import msgspec

from harden.errors import ControlUnavailable, NotExecutable, ProgramNotFound, UsageError
from harden.kernel.features import Features
from harden.kernel.mountinfo import Mount, read_mounts, visible_mounts
from harden.kernel.subid import IdRanges
from harden.kernel.uapi import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MOUNT_ATTR_NOEXEC,
)
from harden.launch.cgroup_limits import LIMITS, controllers_for, limit_ops, uncounted, unenforced
from harden.launch.controls import ControlPlan, is_enforced, plan_controls
from harden.launch.extra_mounts import check_bind_target
from harden.launch.filters import lock_down_filter
from harden.launch.host import plan_host_view
from harden.launch.idmaps import IdMaps, check_ids, id_maps
from harden.launch.landlock_paths import resolve_rules
from harden.launch.layers import Layer
from harden.launch.minimal import plan_minimal_view
from harden.launch.ops import Code, Flag, Op, Stage, op
from harden.launch.payload import exec_ops, payload_ops, process_check
from harden.launch.rlimits import check_rlimits, rlimit_notes
from harden.launch.rootfs import host_path, plan_rootfs_view
from harden.launch.tree import SAFE, Tree, text
from harden.model.control import Control
from harden.model.path_text import is_utf8
from harden.model.sandbox import NetworkMode, SandboxSpec, UserNamespaceMode, View

__all__ = ["Plan", "plan"]

_NO_CGROUP: Final = "no writable cgroup v2: no cgroup is made, the pid namespace alone ends what is left"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that harden-exec will do, in order, and what the user should know about it."""

    spec: SandboxSpec
    ops: tuple[Op, ...]
    controls: tuple[ControlPlan, ...]
    notes: tuple[str, ...]
    layers: tuple[tuple[str, bytes], ...]
    """Overlays as (name in the staging area, mount point of the host)."""
    made: frozenset[bytes]
    """Mount points that do not exist on the host: made by harden, not by the program."""
    cgroup: bytes | None
    """Folder in which the sandbox's cgroups are made."""
    needs_id_range: bool
    controllers: tuple[str, ...] = ()
    """cgroup v2 controllers that the sandbox's cgroup is given: what limits it, or can tell its peaks."""
    uncounted: tuple[tuple[str, str], ...] = ()
    """Of a plan that is `measured`: what the host cannot count (a controller, or "cgroup" for all), and why."""

    def describe(self) -> tuple[str, ...]:
        """The steps in words, one line each, in the order in which they happen."""
        who = {
            Stage.OUTSIDE: "supervisor",
            Stage.INIT: "init",
            Stage.PAYLOAD: "payload",
            Stage.CHECK: "read-back",
        }
        given = f" with the controllers {', '.join(self.controllers)}" if self.controllers else ""
        first = [f"supervisor: make a cgroup below {text(self.cgroup)}{given}"] if self.cgroup else []
        return (*first, *(f"{who[step.stage]}: {step.describe()}" for step in self.ops))


def _check_program(spec: SandboxSpec) -> None:
    """The early, friendly form of what execve would say; the sandbox itself decides."""
    rootfs = spec.isolation.rootfs
    try:
        status = os.stat(spec.program if rootfs is None else host_path(spec.program, rootfs) or rootfs + spec.program)
    except (FileNotFoundError, NotADirectoryError):
        raise ProgramNotFound(f"{text(spec.program)}: no such program", hint="give the path of a program") from None
    except OSError as error:
        raise NotExecutable(
            f'stat("{text(spec.program)}"): {error.strerror}', hint="the path must be reachable for you"
        ) from None
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
        raise NotExecutable(f"{text(spec.program)} is not an executable file", hint=f"chmod +x {text(spec.program)}")


def _check_host_name(name: str) -> None:
    # The kernel takes any bytes (sethostname(2)); what a profile keeps is text.
    bytes_ = name.encode(errors="surrogatepass")
    if not 1 <= len(bytes_) <= 64 or not is_utf8(bytes_) or "\0" in name:
        raise UsageError(
            f"the host name {name!r}: it has to be 1 to 64 bytes of UTF-8 without NUL", hint="such as --hostname box"
        )


def _check_spec(spec: SandboxSpec, features: Features) -> None:
    for path in (spec.program, spec.cwd, *(bind.target for bind in spec.binds), *spec.folders):
        if not path.startswith(b"/") or b".." in path.split(b"/"):
            raise UsageError(f"{text(path)!r} is not an absolute path without ..", hint="give the full path")
    for bind in spec.binds:
        check_bind_target(bind.target)
    if not spec.argv:
        raise UsageError("the workload has no arguments, not even its own name", hint="give a command after --")
    check_ids(spec, features)
    check_rlimits(spec.isolation.rlimits)
    _check_host_name(spec.hostname)


_PAYLOAD_FLAGS: Final = (
    (Control.IPC_NAMESPACE, CLONE_NEWIPC, "ipc"),
    (Control.UTS_NAMESPACE, CLONE_NEWUTS, "uts"),
    (Control.NETWORK_NAMESPACE, CLONE_NEWNET, "network"),
)
_INIT_FLAGS: Final = (
    (Control.PID_NAMESPACE, CLONE_NEWPID, "pid"),
    (Control.CGROUP_NAMESPACE, CLONE_NEWCGROUP, "cgroup"),
    (Control.TIME_NAMESPACE, CLONE_NEWTIME, "time"),
)


def _clone(stage: Stage, controls: tuple[ControlPlan, ...], userns: bool, cgroup: bool) -> Op:
    """init in one set of namespaces; the payload in a second user namespace, which owns what the payload may manage."""
    init = stage is Stage.OUTSIDE
    flags, names = 0, []
    if userns:
        flags, names = CLONE_NEWUSER, ["user"]
    if init:
        flags, names = flags | CLONE_NEWNS, [*names, "mount"]
    for control, flag, name in _INIT_FLAGS if init else _PAYLOAD_FLAGS:
        if is_enforced(controls, control):
            flags, names = flags | flag, [*names, name]
    words = f"clone {'init (PID 1)' if init else 'the payload (PID 2)'} into new {', '.join(names)} namespaces"
    return op(
        stage,
        Code.CLONE_INIT if init else Code.CLONE_PAYLOAD,
        words + (" and into its cgroup" if init and cgroup else ""),
        numbers=(flags,),
        sentence=f"namespaces: cannot {words}",
    )


def _ranges(maps: IdMaps, ranges: IdRanges) -> Op:
    uid, gid = maps.init
    return op(
        Stage.OUTSIDE,
        Code.MAP_RANGES,
        f"map the ids of init with newuidmap: uid {uid.decode()}, gid {gid.decode()}",
        strings=(os.fsencode(ranges.newuidmap), uid, os.fsencode(ranges.newgidmap), gid),
        sentence="user-namespace: cannot map the ranges of /etc/subuid and /etc/subgid",
        hint="newuidmap and newgidmap must be set-user-id root and harden must run without no_new_privs; "
        "without --user and --groups only the own id is mapped",
    )


def _map(stage: Stage, maps: tuple[bytes, bytes], deny: bool) -> Op:
    whose = "init" if stage is Stage.OUTSIDE else "the payload"
    words = [lines.decode().replace("\n", ", ") for lines in maps]
    return op(
        stage,
        Code.MAP_IDS,
        f"map the ids of {whose}: uid {words[0]}, gid {words[1]}",
        strings=maps,
        flags=Flag.DENY_SETGROUPS if deny else Flag.NONE,
        sentence=f"user-namespace: cannot map the ids of {whose}",
    )


def _made(tree: Tree, rootfs: bytes) -> frozenset[bytes]:
    """Mount points, by their paths on the host, that are not there: harden makes them."""
    targets = [step.strings[0] for step in tree.inside if step.code in (Code.ATTACH, Code.FOLDER)]
    made: set[bytes] = set()
    for target in targets:
        while target != b"/" and not os.path.lexists(rootfs + target):
            made.add(rootfs + target)
            target = os.path.dirname(target)
    return frozenset(made)


def plan(
    spec: SandboxSpec, features: Features, *, mounts: tuple[Mount, ...] | None = None, measured: bool = False
) -> Plan:
    """Decide every step. Reads the file system (which links and mounts there are) and changes nothing.

    `measured`: what the program uses at most is to be known at its end, where the host can tell.

    Raises ControlUnavailable for a required control that the host does not give, ProgramNotFound, NotExecutable, and
    UsageError for a spec that contradicts itself.
    """
    _check_spec(spec, features)
    _check_program(spec)
    controls, landlock = plan_controls(spec, features)
    userns = is_enforced(controls, Control.USER_NAMESPACE)
    if not userns and not features.root:
        reason = next((c.reason for c in controls if c.control is Control.USER_NAMESPACE), "")
        raise ControlUnavailable(
            "user-namespace", reason or "an ordinary user needs one for everything else", hint="run harden as root"
        )
    if not userns and spec.user_namespace is not UserNamespaceMode.HOST:
        spec = msgspec.structs.replace(spec, user_namespace=UserNamespaceMode.HOST)
    tree = Tree(spec, features, visible_mounts(read_mounts() if mounts is None else mounts))
    cgroup = features.cgroup if features.cgroup_writable and features.works("clone-into-cgroup") else None
    maps = id_maps(spec, features)
    enforced = frozenset(control for control in LIMITS if is_enforced(controls, control))
    for step in limit_ops(spec, enforced):
        tree.add(step)
    tree.add(_clone(Stage.OUTSIDE, controls, userns, cgroup is not None))
    if userns:
        ranged = _ranges(maps, features.id_ranges) if maps.ranged else None
        tree.add(ranged or _map(Stage.OUTSIDE, maps.init, deny=maps.single))
    proc = tree.slot()
    tree.add(op(Stage.INIT, Code.PROC, "mount an own procfs", slots=(proc,), numbers=(SAFE | MOUNT_ATTR_NOEXEC,)))
    tree.terminals()
    tree.add(_clone(Stage.INIT, controls, userns, cgroup=False))
    if userns:
        tree.add(_map(Stage.INIT, maps.payload, deny=maps.single))
    layers: tuple[Layer, ...] = ()
    if spec.isolation.rootfs is not None:
        layers = plan_rootfs_view(tree, proc, spec.isolation.rootfs)
    elif spec.view is View.HOST:
        layers = plan_host_view(tree, proc)
    else:
        plan_minimal_view(tree, proc)
    tree.add(op(Stage.INIT, Code.PIVOT, "pivot into the new root; the old one is detached and verified gone"))
    tree.add(
        op(
            Stage.INIT,
            Code.LOCK_DOWN,
            "drop everything of PID 1: capabilities, descriptors, system calls but wait and exit",
            blob=lock_down_filter(),
        )
    )
    if landlock is not None:
        landlock = resolve_rules(landlock, tree)
    payload = (
        *payload_ops(spec, features, controls, landlock, userns),
        *exec_ops(spec, controls, landlocked=landlock is not None),
    )
    notes = list(tree.notes)
    if cgroup is None:
        notes.append(_NO_CGROUP)
    notes += [*unenforced(controls, spec), *rlimit_notes(spec)]
    if spec.user_namespace is not UserNamespaceMode.SHIFTED and features.root:
        notes.append(
            f"--userns={spec.user_namespace.value}: uid 0 inside is the host's uid 0; this is not a boundary against it"
        )
    if not features.works("session-keyring"):
        notes.append(f"the session keyring is shared with the host: {features.detail('session-keyring')}")
    if spec.network is NetworkMode.HOST:
        notes.append("the program uses the host's network and /sys")
    controllers = controllers_for(features, enforced, measured=measured) if cgroup is not None else ()
    checks = (process_check(spec, features.euid, features.egid), *(control.encode() for control in controls))
    return Plan(
        spec=spec,
        ops=(*tree.outside, *tree.inside, *payload, *checks),
        controls=controls,
        notes=tuple(notes),
        layers=tuple((layer.name, layer.point) for layer in layers),
        made=_made(tree, spec.isolation.rootfs or b"") if layers else frozenset(),
        cgroup=cgroup,
        controllers=controllers,
        uncounted=uncounted(features, controllers, cgroup=cgroup) if measured else (),
        needs_id_range=tree.shifted and userns,
    )
