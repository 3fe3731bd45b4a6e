"""A harden profile as a subject of checks."""

from __future__ import annotations

from collections.abc import Sequence

from harden.bpf.action import ENOSYS
from harden.bpf.decision import Decision
from harden.check.location import ProfileLocator
from harden.check.subject import FileGrant, NetworkFacet, Reach, Subject, SubjectKind
from harden.model.arch import Arch
from harden.model.profile import Profile, Rights
from harden.model.syscall import number_of
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

__all__ = ["ProfileSeccomp", "profile_subject"]


class ProfileSeccomp:
    """The filter that a profile means; see `harden.bpf.decision`."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._decision = Decision.of(rights)

    @property
    def architectures(self) -> tuple[Arch, ...]:
        """The ABIs of the profile; every other one ends the process."""
        return tuple(sorted(self._rights.architectures))

    @property
    def unchecked(self) -> tuple[Arch, ...]:
        """None: the filter ends a process that calls by an ABI it does not have."""
        return ()

    @property
    def unknown(self) -> int:
        """ENOSYS."""
        return ENOSYS

    def reach(self, arch: Arch, name: str) -> Reach:
        """Whether the call gets through."""
        table, number = self._decision.tables.get(arch), number_of(arch, name)
        if table is None or number is None:
            return Reach.NEVER
        if number in table.conditions:
            return Reach.SOMETIMES
        return Reach.ALWAYS if table.action(number, (0,) * 6) >> 16 == 0x7FFF else Reach.NEVER

    def action(self, arch: Arch, name: str, arguments: Sequence[int]) -> int:
        """The answer to one call."""
        number = number_of(arch, name)
        return self._decision.action(arch.audit_arch, 0xFFFFFFFF if number is None else number, arguments)

    def argument_values(self, name: str) -> tuple[tuple[int | None, ...], ...] | None:
        """The combinations that the profile lists."""
        return self._rights.argument_values(name)


def profile_subject(profile: Profile, *, file: str, locator: ProfileLocator) -> Subject:
    """`profile`, with NAME.local.toml already applied, as a subject."""
    rights = profile.rights
    return Subject(
        name=profile.name,
        file=file,
        kind=SubjectKind.PROFILE,
        locator=locator,
        seccomp=ProfileSeccomp(rights),
        capabilities=rights.all_capabilities(),
        files=tuple(
            FileGrant(pattern=pattern, operations=operations, text=pattern.text)
            for pattern, operations in rights.all_files()
        ),
        network=NetworkFacet(rules=rights.all_network(), families=_families(rights)),
        profile=profile,
    )


def _families(rights: Rights) -> frozenset[str] | None:
    if "socket" not in rights.all_syscalls():
        return frozenset()
    rows = rights.argument_values("socket")
    if rows is None or any(row[0] is None for row in rows):
        return None
    return frozenset(render_values(ARGUMENT_ROWS["socket"], row)[0] for row in rows)
