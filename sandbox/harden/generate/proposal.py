"""What could be added to a profile so that a denial does not happen again, and how dangerous that would be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from typing import Final

import msgspec

from harden.model.denial import Denial
from harden.model.diff import RightChange, added_rights
from harden.model.guarded_root import is_beneath, is_guarded
from harden.model.local_merge import join_rights, merge_local
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.profile import Local, LocalRights, Profile, parse_file_rights
from harden.model.risk import CHANGING
from harden.model.severity import Severity

__all__ = ["Proposal", "joined", "proposals_of"]

_LEVELS: Final = ((8, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM), (0, Severity.LOW))
"""The least weight of `harden.model.risk` for each level."""
_SECRETS: Final = (b"/root", b"/run/secrets", b"/etc/ssl/private", b"/etc/ssh")
_SECRET: Final = re.compile(rb"/etc/(?:g?shadow-?|sudoers.*|krb5\.keytab)|/home/[^/]+/\.ssh(?:/.*)?", re.DOTALL)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that would allow what one denial is about."""

    denial: Denial
    changes: tuple[RightChange, ...]
    """What the profile would allow more, heaviest first, each with its risk."""
    level: Severity
    guarded: tuple[str, ...]
    """Path patterns among them that lie in a guarded root."""

    @property
    def add(self) -> LocalRights:
        """The rules."""
        return self.denial.add


def proposals_of(denials: Iterable[Denial], profile: Profile) -> tuple[Proposal, ...]:
    """One proposal for each denial that a rule can do away with, each rule once, most dangerous first."""
    found: dict[bytes, Proposal] = {}
    for denial in denials:
        local = Local(format="harden-local/1", refined=denial.add)
        changes = added_rights(profile, merge_local(profile, local))
        if changes:
            guarded = tuple(path for path in denial.add.files if _is_of_others(path, profile))
            proposal = Proposal(
                denial=denial, changes=changes, level=_level(denial.add, changes, guarded), guarded=guarded
            )
            found.setdefault(msgspec.json.encode(denial.add, order="sorted"), proposal)
    return tuple(sorted(found.values(), key=lambda each: (-each.level.rank, each.changes)))


def joined(proposals: Iterable[Proposal]) -> LocalRights:
    """The rules of all."""
    return reduce(join_rights, (each.add for each in proposals), LocalRights())


def _is_of_others(text: str, profile: Profile) -> bool:
    """Guarded, and not in the program's own working folder below a guarded root (such as /root/project)."""
    path, cwd = PathPattern.parse(text).path, from_text(profile.workload.cwd)
    return is_guarded(path) and not (cwd.count(b"/") > 1 and is_beneath(path, cwd))


def _level(add: LocalRights, changes: tuple[RightChange, ...], guarded: tuple[str, ...]) -> Severity:
    weight = max(change.weight for change in changes)
    level = next(level for least, level in _LEVELS if weight >= least)
    if any(_is_critical(path, add.files[path]) for path in guarded):
        return Severity.CRITICAL
    return max(level, Severity.HIGH, key=lambda each: each.rank) if guarded else level


def _is_critical(text: str, rights: str) -> bool:
    """To change what is guarded, and to read what is secret there."""
    path = PathPattern.parse(text).path
    secret = any(is_beneath(path, folder) for folder in _SECRETS) or _SECRET.fullmatch(path) is not None
    return secret or bool(parse_file_rights(rights) & CHANGING)
