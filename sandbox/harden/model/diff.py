"""What one profile grants more or less than another, right by right, each with its risk.

A right counts as added only when nothing in the old profile allowed it already: a path that an old pattern covers, or
an argument that was free before, is no growth.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

import msgspec

from harden.model.control import DEFAULT_REQUIREMENTS, Requirement
from harden.model.isolation_growth import isolation_growth
from harden.model.network_rule import NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.profile import Profile, Rights, render_file_rights
from harden.model.recording import FileOperation
from harden.model.resource_limit import render_limit
from harden.model.risk import Risk, capability_risk, file_risk, limit_risk, network_risk, syscall_risk
from harden.model.sandbox import NetworkMode, UserNamespaceMode
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

__all__ = ["Difference", "RightChange", "RightKind", "added_rights", "diff_profiles"]


class RightKind(enum.StrEnum):
    """The part of a profile that a right stands in."""

    ARCHITECTURE = "architecture"
    SYSCALL = "syscall"
    ARGUMENT = "argument"
    CAPABILITY = "capability"
    FILE = "file"
    NETWORK = "network"
    LIMIT = "limit"
    CONTROL = "control"
    WORKLOAD = "workload"


class RightChange(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One right that came or went."""

    kind: RightKind
    right: str
    """As a profile writes it: `ptrace`, `socket(AF_INET, SOCK_STREAM, 0)`, `read write /etc/app.conf`."""
    rule: str
    """The key it stands under, to find it in the file: the call, the path, the capability, the network rule."""
    weight: int
    """1 to 10, see `harden.model.risk`."""
    why: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What came and what went, each heaviest first."""

    added: tuple[RightChange, ...]
    removed: tuple[RightChange, ...]

    @property
    def grown(self) -> bool:
        """Whether the new profile allows anything that the old one did not."""
        return bool(self.added)


def diff_profiles(old: Profile, new: Profile) -> Difference:
    """What `new` allows and `old` did not, and the other way round."""
    return Difference(added=added_rights(old, new), removed=added_rights(new, old))


def added_rights(old: Profile, new: Profile) -> tuple[RightChange, ...]:
    """Every right of `new` that `old` does not cover, heaviest first."""
    found = {
        *_calls(old.rights, new.rights),
        *_arguments(old.rights, new.rights),
        *_capabilities(old.rights, new.rights),
        *_files(old.rights, new.rights),
        *_network(old.rights, new.rights),
        *_limits(old, new),
        *_controls(old, new),
        *_workload(old, new),
    }
    return tuple(sorted(found, key=lambda change: (-change.weight, change)))


def _change(kind: RightKind, right: str, risk: Risk, *, rule: str = "") -> RightChange:
    return RightChange(kind=kind, right=right, rule=rule or right, weight=risk.weight, why=risk.why)


def _calls(old: Rights, new: Rights) -> Iterator[RightChange]:
    for arch in new.architectures:
        if arch not in old.architectures:
            yield _change(RightKind.ARCHITECTURE, arch, Risk(7, "a second ABI doubles the calls that can be reached"))
    for name in new.all_syscalls() - old.all_syscalls():
        yield _change(RightKind.SYSCALL, name, syscall_risk(name))


def _arguments(old: Rights, new: Rights) -> Iterator[RightChange]:
    for name in new.all_syscalls() & old.all_syscalls() & ARGUMENT_ROWS.keys():
        before, after = old.argument_values(name), new.argument_values(name)
        if before is None:
            continue
        risk = syscall_risk(name)
        if after is None:
            yield _change(RightKind.ARGUMENT, f"{name} with any arguments", risk, rule=name)
            continue
        for row in after:
            if not any(_row_covers(wider, row) for wider in before):
                text = ", ".join(render_values(ARGUMENT_ROWS[name], row))
                yield _change(RightKind.ARGUMENT, f"{name}({text})", risk, rule=name)


def _row_covers(wider: tuple[int | None, ...], row: tuple[int | None, ...]) -> bool:
    return all(one is None or one == other for one, other in zip(wider, row, strict=True))


def _capabilities(old: Rights, new: Rights) -> Iterator[RightChange]:
    for capability in new.all_capabilities() - old.all_capabilities():
        yield _change(RightKind.CAPABILITY, capability.name, capability_risk(capability.name))


def _files(old: Rights, new: Rights) -> Iterator[RightChange]:
    before = dict(old.all_files())
    wide = [(pattern, operations) for pattern, operations in before.items() if not pattern.is_literal]
    for pattern, operations in new.all_files():
        left = operations - before.get(pattern, frozenset())
        for wider, granted in wide:
            if left & granted and wider.covers(pattern):
                left -= granted
        if left:
            yield _change(RightKind.FILE, _file_text(pattern, left), file_risk(pattern, left), rule=pattern.text)


def _file_text(pattern: PathPattern, operations: frozenset[FileOperation]) -> str:
    return f"{render_file_rights(operations)} {pattern.text}"


def _network(old: Rights, new: Rights) -> Iterator[RightChange]:
    before = old.all_network()
    for rule in new.all_network():
        if not any(_rule_covers(wider, rule) for wider in before):
            yield _change(RightKind.NETWORK, rule.render(), network_risk(rule))


def _rule_covers(wider: NetworkRule, rule: NetworkRule) -> bool:
    if wider == rule:
        return True
    if (wider.operation, wider.family, wider.type) != (rule.operation, rule.family, rule.type):
        return False
    if not (rule.family == "AF_UNIX" and wider.address.startswith("/") and rule.address.startswith("/")):
        return False
    return PathPattern.parse(wider.address).covers(PathPattern.parse(rule.address))


def _limits(old: Profile, new: Profile) -> Iterator[RightChange]:
    after = new.limits()
    for name, was in old.limits().items():
        now = after.get(name)
        if now is None or now > was:
            text = f"{name} without a limit" if now is None else f"{name} up to {render_limit(name, now)}"
            risk = limit_risk(name, lifted=now is None)
            yield _change(RightKind.LIMIT, f"{text}, was up to {render_limit(name, was)}", risk, rule=name)


_STRENGTH = {Requirement.OFF: 0, Requirement.PREFERRED: 1, Requirement.REQUIRED: 2}


def _controls(old: Profile, new: Profile) -> Iterator[RightChange]:
    before, after = {**DEFAULT_REQUIREMENTS, **old.controls}, {**DEFAULT_REQUIREMENTS, **new.controls}
    for control, was in before.items():
        now = after.get(control, Requirement.OFF)
        if _STRENGTH[now] < _STRENGTH[was]:
            risk = Risk(8 if now is Requirement.OFF else 6, "a control that held the program no longer has to be there")
            yield _change(RightKind.CONTROL, f"{control} is {now}, was {was}", risk, rule=control)


_IDENTITY: Final = {
    "program": Risk(8, "another program gets these rights"),
    "argv": Risk(4, "other arguments can make it another program"),
    "environment_values": Risk(6, "variables such as LD_PRELOAD decide what code runs"),
    "user": Risk(6, "another user inside owns other files"),
    "uid": Risk(6, "another user inside owns other files"),
    "gid": Risk(4, "another group inside owns other files"),
}
"""What says who gets the rights: no change of it is smaller than before."""
_NUMBERS_OF_USER: Final = ("uid", "gid")
"""Each host's own, for a user who is named."""


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={text}" for name, text in sorted(value.items()))
    return str(value)


def _workload(old: Profile, new: Profile) -> Iterator[RightChange]:
    before, after = old.workload, new.workload
    if after.user_namespace is not before.user_namespace and after.user_namespace is not UserNamespaceMode.SHIFTED:
        risk = Risk(9, "uid 0 inside is then uid 0 of the host")
        yield _change(RightKind.WORKLOAD, f"user_namespace {after.user_namespace}", risk, rule="user_namespace")
    if after.network is not before.network and after.network is NetworkMode.HOST:
        risk = Risk(7, "the host's network, its loopback services included")
        yield _change(RightKind.WORKLOAD, f"network {after.network}", risk, rule="network")
    same_name = bool(after.user) and after.user == before.user
    for rule, risk in _IDENTITY.items():
        if getattr(after, rule) != getattr(before, rule) and not (same_name and rule in _NUMBERS_OF_USER):
            yield _change(RightKind.WORKLOAD, f"{rule} {_shown(getattr(after, rule))}", risk, rule=rule)
    for bind in after.binds:
        if bind not in before.binds:
            risk = Risk(6 if bind.writable else 4, "shows a part of the host")
            right = f"bind {bind.source} at {bind.target}{' writable' if bind.writable else ''}"
            yield _change(RightKind.WORKLOAD, right, risk, rule="binds")
    for right, rule, risk in isolation_growth(before, after):
        yield _change(RightKind.WORKLOAD, right, risk, rule=rule)
