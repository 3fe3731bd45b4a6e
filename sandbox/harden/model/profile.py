"""The profile: what a program may do. `NAME.profile.toml` is generated; `NAME.local.toml` beside it is the user's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from harden.model.arch import Arch
from harden.model.capability import Capability, require_known
from harden.model.control import Control, Requirement
from harden.model.network_rule import NetworkRule
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.recording import Completeness, FileOperation
from harden.model.resource_limit import LIMIT_CONTROLS, LimitName, LimitValue, parse_limit
from harden.model.syscall import number_of
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values
from harden.model.workload import Workload

__all__ = [
    "LOCAL_FORMAT",
    "PROFILE_FORMAT",
    "Generated",
    "Local",
    "LocalRemoval",
    "LocalRights",
    "Profile",
    "Rights",
    "folders_made",
    "parse_file_rights",
    "render_file_rights",
]

PROFILE_FORMAT: Final = "harden-profile/1"
LOCAL_FORMAT: Final = "harden-local/1"

ArgumentTexts = tuple[str, ...]
"""One allowed combination of a call's ruled arguments, as `syscall_argument.render_values` writes it."""


def parse_file_rights(text: str) -> frozenset[FileOperation]:
    """`"read map"` as operations; ValueError for an unknown or repeated word or none at all."""
    words = text.split()
    if not words or len(set(words)) != len(words):
        raise ValueError(f"{text!r}: give each file right once, and at least one")
    unknown = sorted(set(words) - set(FileOperation))
    if unknown:
        raise ValueError(f"{text!r}: {unknown[0]!r} is none of {', '.join(FileOperation)}")
    return frozenset(FileOperation(word) for word in words)


def render_file_rights(operations: frozenset[FileOperation]) -> str:
    """Operations as a profile writes them, in the order of `FileOperation`."""
    return " ".join(operation for operation in FileOperation if operation in operations)


class Generated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a profile came to be."""

    harden: str
    """The version that generated it."""
    runs: tuple[str, ...]
    """The ids of the runs it was generated from, sorted."""
    completeness: Completeness
    kernel: str = ""
    notes: tuple[str, ...] = ()
    """What a reader must know of these rights: where no rule could be written, or only one wider than what was seen."""


def folders_made(files: Iterable[tuple[PathPattern, frozenset[FileOperation]]]) -> tuple[PathPattern, ...]:
    """Of patterns with their rights, those under which folders can be made."""
    return tuple(pattern for pattern, operations in files if FileOperation.MKDIR in operations)


class Rights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is granted, by origin. Everything not here is refused. Lists are sorted."""

    architectures: tuple[Arch, ...]
    syscalls: dict[Origin, tuple[str, ...]] = {}
    arguments: dict[str, dict[Origin, tuple[ArgumentTexts, ...]]] = {}
    """By call: the combinations of its ruled arguments that are allowed. A granted call that is not here takes any."""
    capabilities: dict[Origin, tuple[str, ...]] = {}
    files: dict[Origin, dict[str, str]] = {}
    """By path pattern: the file rights, words of `FileOperation`."""
    network: dict[Origin, tuple[str, ...]] = {}
    """Network rules as `NetworkRule.render` writes them."""
    limits: dict[Origin, dict[LimitName, LimitValue]] = {}
    """The most that may be used. What is not here is not limited."""

    def __post_init__(self) -> None:
        for name, arch in ((name, arch) for arch in self.architectures for name in self.all_syscalls()):
            if number_of(arch, name) is None and all(number_of(each, name) is None for each in Arch):
                raise ValueError(f"unknown system call {name!r}")
        for name, by_origin in self.arguments.items():
            if name not in ARGUMENT_ROWS:
                raise ValueError(f"arguments of {name!r} cannot be ruled on; only {', '.join(ARGUMENT_ROWS)}")
            for texts in (texts for rows in by_origin.values() for texts in rows):
                parse_values(ARGUMENT_ROWS[name], texts)
        require_known(name for names in self.capabilities.values() for name in names)
        for path, rights in ((path, text) for files in self.files.values() for path, text in files.items()):
            PathPattern.parse(path)
            parse_file_rights(rights)
        for text in (text for rules in self.network.values() for text in rules):
            NetworkRule.parse(text)
        self.all_limits()

    def all_syscalls(self) -> frozenset[str]:
        """Names of all granted calls, of any origin."""
        return frozenset(name for names in self.syscalls.values() for name in names)

    def argument_values(self, name: str) -> tuple[tuple[int | None, ...], ...] | None:
        """The allowed combinations of a call's ruled arguments, sorted; None when it takes any."""
        by_origin = self.arguments.get(name)
        if by_origin is None:
            return None
        row = ARGUMENT_ROWS[name]
        found = {parse_values(row, texts) for rows in by_origin.values() for texts in rows}
        return tuple(sorted(found, key=lambda values: tuple(-1 if value is None else value for value in values)))

    def all_capabilities(self) -> frozenset[Capability]:
        """All granted capabilities."""
        return frozenset(Capability[name] for names in self.capabilities.values() for name in names)

    def all_files(self) -> Iterator[tuple[PathPattern, frozenset[FileOperation]]]:
        """Every pattern once, with the union of its rights, sorted by pattern text."""
        found: dict[str, frozenset[FileOperation]] = {}
        for files in self.files.values():
            for path, text in files.items():
                found[path] = found.get(path, frozenset()) | parse_file_rights(text)
        for path in sorted(found):
            yield PathPattern.parse(path), found[path]

    def all_network(self) -> tuple[NetworkRule, ...]:
        """All network rules, sorted."""
        return tuple(sorted({NetworkRule.parse(text) for rules in self.network.values() for text in rules}))

    def all_limits(self) -> dict[LimitName, int]:
        """The largest value of every limit, in the order of their names; ValueError for a value that is none."""
        found: dict[LimitName, int] = {}
        for name, value in ((name, value) for limits in self.limits.values() for name, value in limits.items()):
            found[name] = max(parse_limit(name, value), found.get(name, 0))
        return dict(sorted(found.items()))


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A generated profile."""

    format: Literal["harden-profile/1"]
    name: str
    generated: Generated
    workload: Workload
    rights: Rights
    widened: dict[str, tuple[str, ...]] = {}
    """Path pattern granted, to the paths seen that it was made from."""
    controls: dict[Control, Requirement] = {}
    """Filled from NAME.local.toml; what is not here follows `DEFAULT_REQUIREMENTS`, but a limit is preferred."""

    def limits(self) -> dict[LimitName, int]:
        """The limits that are asked for: all but those whose control is switched off."""
        off = {control for control, wanted in self.controls.items() if wanted is Requirement.OFF}
        return {name: most for name, most in self.rights.all_limits().items() if LIMIT_CONTROLS[name] not in off}


class _LocalLists(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    syscalls: tuple[str, ...] = ()
    arguments: dict[str, tuple[ArgumentTexts, ...]] = {}
    capabilities: tuple[str, ...] = ()
    files: dict[str, str] = {}
    network: tuple[str, ...] = ()


class LocalRights(_LocalLists, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rights that a person adds, written as in a profile but without origins."""

    limits: dict[LimitName, LimitValue] = {}
    """In place of those that were learned, larger or smaller."""

    def __post_init__(self) -> None:
        for name, value in self.limits.items():
            parse_limit(name, value)


class LocalRemoval(_LocalLists, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rights that a person removes."""

    limits: tuple[LimitName, ...] = ()
    """Names of limits that are lifted."""


class Local(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`NAME.local.toml`: the user's own file, which no generating command writes."""

    format: Literal["harden-local/1"]
    add: LocalRights = LocalRights()
    refined: LocalRights = LocalRights()
    """What `harden refine` added: like `add`, with the origin `refined`; a limit there only ever raises one."""
    remove: LocalRemoval = LocalRemoval()
    controls: dict[Control, Requirement] = {}
