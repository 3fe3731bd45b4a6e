"""The sandbox spec: the workload and its isolation as data, in the terms of the OCI runtime-spec.

Strings that the kernel takes as bytes (paths, arguments, environment) are `bytes` here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from harden.model.control import Control, Requirement
from harden.model.isolation import Isolation
from harden.model.limit import LearnedLimits

__all__ = [
    "AppArmorLabel",
    "Bind",
    "FileRule",
    "LandlockRules",
    "NetworkMode",
    "SandboxSpec",
    "SeccompFilter",
    "UserNamespaceMode",
    "View",
]


class View(enum.StrEnum):
    """What the program sees as its root file system."""

    HOST = "host"
    """The host's files, read-only, with a copy-on-write overlay per writable mount (`harden trace`)."""
    MINIMAL = "minimal"
    """/usr and the loader's trees read-only, and beyond that only what the profile names (`harden run`)."""


class NetworkMode(enum.StrEnum):
    """The network namespace: an own one with loopback only, or the host's."""

    NONE = "none"
    HOST = "host"


class UserNamespaceMode(enum.StrEnum):
    """How ids inside relate to ids outside."""

    SHIFTED = "shifted"
    """Ids 0..65535 map to a high range (as root); as an ordinary user, the own id only."""
    IDENTITY = "identity"
    """Ids map to themselves: not a boundary, because uid 0 inside is the host's uid 0."""
    HOST = "host"
    """No user namespace."""


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """A host file or folder shown inside: `source` outside, `target` inside, read-only unless `writable`."""

    source: bytes
    target: bytes
    writable: bool = False


class FileRule(msgspec.Struct, frozen=True, kw_only=True):
    """Landlock rights (LANDLOCK_ACCESS_FS_* bits) beneath or on one path of the sandbox's view."""

    path: bytes
    access: int


class LandlockRules(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that Landlock allows; `handled_*` is what it refuses unless a rule allows it.

    Bits that the running kernel's ABI lacks are dropped by the plan, which then reports landlock as partial.
    A rule whose path does not exist when the sandbox starts grants nothing. Source: landlock(7).
    """

    handled_files: int
    handled_network: int
    scoped: int
    files: tuple[FileRule, ...]
    bind_tcp: tuple[int, ...]
    connect_tcp: tuple[int, ...]


class SeccompFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled filter: classic BPF as struct sock_filter[] bytes, checked against its profile.

    `exec_cookie` is the value that execve's sixth argument register must hold for the launcher's own one-shot exec;
    None when the profile grants execve anyway.
    """

    program: bytes
    exec_cookie: int | None


class AppArmorLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The AppArmor profile that the program enters at exec, by the name under which the kernel knows it."""

    name: str
    problem: str = ""
    """Why it cannot be entered, such as that it could not be loaded; empty when it can."""


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A program and the isolation it gets. Paths are as seen inside, except the sources of binds."""

    program: bytes
    """Absolute path, resolved already: what execve gets."""
    argv: tuple[bytes, ...]
    environment: tuple[bytes, ...]
    """b"NAME=value" each."""
    cwd: bytes
    view: View = View.HOST
    network: NetworkMode = NetworkMode.NONE
    user_namespace: UserNamespaceMode = UserNamespaceMode.SHIFTED
    uid: int | None = None
    """Id inside; None: 0 when harden runs as root, the caller's own id otherwise."""
    gid: int | None = None
    binds: tuple[Bind, ...] = ()
    visible: tuple[bytes, ...] = ()
    """view=minimal: host paths shown read-only beside /usr and the loader's trees; missing ones are left out."""
    writable: tuple[bytes, ...] = ()
    """view=minimal: host paths shown writable for real (changes reach the host)."""
    outlines: tuple[bytes, ...] = ()
    """view=minimal: host folders of which only the folder itself is shown, empty, with its owner and mode."""
    folders: tuple[bytes, ...] = ()
    """view=minimal: folders made empty inside if nothing else shows them (the traced program created them)."""
    capabilities: frozenset[int] = frozenset()
    """CAP_* numbers held inside the user namespace: bounding, permitted, effective, inheritable and ambient."""
    seccomp: SeccompFilter | None = None
    listener_cookie: int | None = None
    """Every call is recorded by user notification; 64 random bits that mark the transfer of the listener."""
    landlock: LandlockRules | None = None
    apparmor: AppArmorLabel | None = None
    hostname: str = "harden"
    timeout_s: float | None = None
    commit: bytes | None = None
    """view=host: folder that receives what the program changed."""
    requirements: Mapping[Control, Requirement] = {}
    """What somebody asked for; what is not here follows `DEFAULT_REQUIREMENTS`."""
    allow_degraded: frozenset[Control] = frozenset()
    isolation: Isolation = Isolation()
    learned: LearnedLimits = LearnedLimits()
