"""What checks look at: a harden profile, or somebody else's file, seen through the facets that its format has.

A facet that is None is unknown: the format cannot say it, and checks that need it stay silent. An empty facet is known
to grant nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec

from harden.check.finding import Location
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.network_rule import NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.profile import Profile
from harden.model.recording import FileOperation

__all__ = [
    "Facet",
    "FileGrant",
    "Locator",
    "NetworkFacet",
    "NotChecked",
    "Reach",
    "SeccompFacet",
    "Section",
    "Subject",
    "SubjectKind",
]


class SubjectKind(enum.StrEnum):
    """What kind of file was read."""

    PROFILE = "harden-profile"
    OCI_SECCOMP = "oci-seccomp"
    """linux.seccomp of the OCI runtime-spec, alone or inside a config.json."""
    DOCKER_SECCOMP = "docker-seccomp"
    """Docker's and Podman's dialect: archMap, includes, excludes."""
    SYSTEMD_UNIT = "systemd-unit"
    APPARMOR = "apparmor"
    RAW_BPF = "raw-bpf"


class Facet(enum.StrEnum):
    """A part of a subject that a check may need."""

    SECCOMP = "seccomp"
    CAPABILITIES = "capabilities"
    FILES = "files"
    NETWORK = "network"
    PROFILE = "profile"


class Reach(enum.Enum):
    """Whether a call gets through, over all its arguments."""

    NEVER = 0
    SOMETIMES = 1
    """It depends on the arguments."""
    ALWAYS = 2


class SeccompFacet(Protocol):
    """A system call filter, whatever it was written in. `ALLOW`, `LOG` and `TRACE` count as getting through."""

    @property
    def architectures(self) -> tuple[Arch, ...]:
        """The ABIs whose calls the filter examines, sorted."""

    @property
    def unchecked(self) -> tuple[Arch, ...]:
        """ABIs of the same machine whose calls get through without being examined, sorted."""

    @property
    def unknown(self) -> int:
        """The SECCOMP_RET_* value for a call that nothing names, on the first of `architectures`."""

    def reach(self, arch: Arch, name: str) -> Reach:
        """Whether the call gets through; NEVER for one that `arch` does not have."""

    def action(self, arch: Arch, name: str, arguments: Sequence[int]) -> int:
        """The SECCOMP_RET_* value for one call with these six arguments, each of 64 bits."""

    def argument_values(self, name: str) -> tuple[tuple[int | None, ...], ...] | None:
        """The combinations of the call's ruled arguments that get through (`syscall_argument.ARGUMENT_ROWS`).

        None when it takes any, or when the format has no such list: ask `reach` and `action` then.
        """


class FileGrant(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """File rights on a path pattern. `text` is the pattern as the file writes it, for messages and locations."""

    pattern: PathPattern
    operations: frozenset[FileOperation]
    text: str


class NetworkFacet(msgspec.Struct, frozen=True, kw_only=True):
    """What may be reached."""

    rules: tuple[NetworkRule, ...] | None
    """Addresses that may be bound or connected to; None when the format has no such rules, so any."""
    families: frozenset[str] | None
    """AF_* names that sockets may be made of; None when any."""


class Section(enum.StrEnum):
    """Where in a file a word is to be looked for."""

    SYSCALL = "syscalls"
    ARGUMENT = "arguments"
    CAPABILITY = "capabilities"
    FILE = "files"
    NETWORK = "network"
    LIMIT = "limits"
    ARCHITECTURE = "architectures"
    GENERATED = "generated"
    WORKLOAD = "workload"
    DEFAULT = "default"
    """The default action, or whatever decides about what is not named."""


class Locator(Protocol):
    """Finds the place of a rule; the whole file (line 0 or 1) when it cannot."""

    def find(self, section: Section, word: str = "") -> Location:
        """Where `word` stands in `section`; the section itself when `word` is empty."""


class NotChecked(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Something in a foreign file that its reader does not understand, so that no check has seen it."""

    location: Location
    text: str
    """One sentence: what it is and why nothing is known of it."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to check."""

    name: str
    file: str
    """As the user named it; what locations and path scopes use."""
    kind: SubjectKind
    locator: Locator
    seccomp: SeccompFacet | None = None
    capabilities: frozenset[Capability] | None = None
    files: tuple[FileGrant, ...] | None = None
    """Sorted by pattern text."""
    network: NetworkFacet | None = None
    profile: Profile | None = None
    """The merged profile (NAME.local.toml applied), for a harden profile only."""
    not_checked: tuple[NotChecked, ...] = ()
    """In the order of the file; never empty where a reader passed over something that could grant a right."""

    def has(self, facet: Facet) -> bool:
        """Whether this subject's format says anything about `facet`."""
        return getattr(self, facet.value) is not None
