"""The known-attack view: of how many known attacks does a profile refuse the entry requirement.

It says what a profile refuses of a dated list, never that vulnerabilities are mitigated.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import Final

import msgspec

from harden.check.attack_table import Attack, AttackTable, Need, Way
from harden.check.passage import lets_through
from harden.check.subject import Reach, SeccompFacet, Subject
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.syscall import number_of
from harden.model.syscall_argument_names import ADDRESS_FAMILIES

__all__ = ["AttackView", "JudgedAttack", "Remedy", "Standing", "attack_view"]

_SOCKETCALL: Final = {
    "socket": 1,
    "bind": 2,
    "connect": 3,
    "listen": 4,
    "socketpair": 8,
    "sendto": 11,
    "setsockopt": 14,
    "sendmsg": 16,
    "sendmmsg": 20,
}
"""socketcall(2): the first argument selects the call, the others are behind a pointer that no filter can follow."""
_BEHIND_POINTER: Final = frozenset({"mmap"})
"""i386's old mmap finds its arguments in memory too (mmap2(2))."""


class Standing(enum.StrEnum):
    """How a profile stands to one attack."""

    REFUSED = "refused"
    """One of the attack's needs is refused, whichever way it is tried."""
    OPEN = "open"
    """Every need has a way that gets through."""
    UNKNOWN = "unknown"
    """It depends on something that the checked file does not say."""


class JudgedAttack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One attack against one profile."""

    id: str
    subsystem: str
    standing: Standing
    refused: tuple[str, ...]
    """Titles of the needs that are refused."""


class Remedy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that refuses a need, and the attacks that are not refused yet and would be."""

    need: str
    fix: str
    attacks: tuple[str, ...]


class AttackView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All attacks of a table against one profile."""

    profile: str
    table: str
    title: str
    noun: str
    source: str
    date: str
    attacks: tuple[JudgedAttack, ...]
    """In the order of the table."""
    remedies: tuple[Remedy, ...]
    """Most attacks first; one attack may be in several."""

    def count(self, standing: Standing) -> int:
        """How many attacks stand so."""
        return sum(each.standing is standing for each in self.attacks)

    @property
    def sentence(self) -> str:
        """Such as `refuses the entry requirement of 12 of 20 known kernel vulnerabilities (kernelctf, 2026-08-07)`."""
        total = len(self.attacks)
        sentence = f"refuses the entry requirement of {self.count(Standing.REFUSED)} of {total} {self.noun}"
        unknown = self.count(Standing.UNKNOWN)
        if unknown:
            sentence += f", {unknown} depend on what the file does not say"
        return f"{sentence} ({self.table}, {self.date})"


def attack_view(subject: Subject, table: AttackTable) -> AttackView:
    """Every attack of `table` against `subject`."""
    standings = {name: _need(subject, need) for name, need in table.needs.items()}
    judged = tuple(_judge(attack, table, standings) for attack in table.attack)
    left = {each.id for each in judged if each.standing is not Standing.REFUSED}
    counts: Counter[str] = Counter(
        name for attack in table.attack if attack.id in left for name in dict.fromkeys(attack.needs)
    )
    remedies = tuple(
        Remedy(
            need=table.needs[name].title,
            fix=table.needs[name].fix,
            attacks=tuple(attack.id for attack in table.attack if attack.id in left and name in attack.needs),
        )
        for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return AttackView(
        profile=subject.name,
        table=table.name,
        title=table.title,
        noun=table.noun,
        source=table.source,
        date=table.date,
        attacks=judged,
        remedies=remedies,
    )


def _judge(attack: Attack, table: AttackTable, standings: dict[str, Standing]) -> JudgedAttack:
    found = [standings[name] for name in attack.needs]
    standing = Standing.OPEN
    if Standing.REFUSED in found:
        standing = Standing.REFUSED
    elif Standing.UNKNOWN in found:
        standing = Standing.UNKNOWN
    refused = tuple(table.needs[name].title for name in attack.needs if standings[name] is Standing.REFUSED)
    return JudgedAttack(id=attack.id, subsystem=attack.subsystem, standing=standing, refused=refused)


def _need(subject: Subject, need: Need) -> Standing:
    found = {_way(subject, way) for way in need.ways if subject.seccomp is not None or not way.past_filter}
    if Standing.OPEN in found:
        return Standing.OPEN
    return Standing.UNKNOWN if Standing.UNKNOWN in found else Standing.REFUSED


def _way(subject: Subject, way: Way) -> Standing:
    if way.capability:
        if subject.capabilities is None:
            return Standing.UNKNOWN
        return Standing.OPEN if Capability[way.capability] in subject.capabilities else Standing.REFUSED
    if subject.seccomp is not None:
        return Standing.OPEN if _gets_through(subject.seccomp, way) else Standing.REFUSED
    families = subject.network.families if subject.network is not None else None
    if way.call in ("socket", "socketpair") and families is not None and way.arguments:
        tried = {ADDRESS_FAMILIES.get(number, str(number)) for number in way.arguments[0]}
        # Without a system call filter, that a family is allowed does not say that the call is.
        return Standing.UNKNOWN if tried & families else Standing.REFUSED
    return Standing.UNKNOWN


def _gets_through(seccomp: SeccompFacet, way: Way) -> bool:
    return any(_on(seccomp, arch, way) for arch in (*seccomp.architectures, *seccomp.unchecked))


def _on(seccomp: SeccompFacet, arch: Arch, way: Way) -> bool:
    if arch is Arch.I386 and way.call in _SOCKETCALL:
        multiplexed = (_SOCKETCALL[way.call], 0, 0, 0, 0, 0)
        if lets_through(seccomp.action(arch, "socketcall", multiplexed)):
            return True
    if number_of(arch, way.call) is None:
        return False
    untold = arch in seccomp.unchecked or (arch is Arch.I386 and way.call in _BEHIND_POINTER)
    if not way.arguments or untold:
        return seccomp.reach(arch, way.call) is not Reach.NEVER
    return any(lets_through(seccomp.action(arch, way.call, probe)) for probe in way.probes())
