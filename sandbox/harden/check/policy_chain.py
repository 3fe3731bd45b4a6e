"""A policy with everything it extends, and what it comes down to for one subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from harden.check.glob import matches_path, matches_text
from harden.check.location import TomlSource
from harden.check.registry import CHECKS
from harden.check.subject import Subject
from harden.errors import DocumentError
from harden.model.policy import OFF, Demand, Expression, Level, Policy, Scope, Waiver
from harden.model.severity import Severity

__all__ = ["Effective", "PlacedWaiver", "PolicyChain", "PolicyFile"]

_ENGINE: Final = frozenset({"expired-waiver", "unused-waiver"})
"""About the policy itself: they cannot be waived."""


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True):
    """One policy as it was read."""

    policy: Policy
    source: TomlSource


class PlacedWaiver(msgspec.Struct, frozen=True, kw_only=True):
    """A waiver, and which one of which file it is."""

    waiver: Waiver
    source: TomlSource
    index: int


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What is demanded of one subject."""

    levels: Mapping[str, Severity]
    """The checks that are wanted, with their severity."""
    demand: Demand


class PolicyChain:
    """Policy files, the one that all others extend first."""

    def __init__(self, name: str, files: tuple[PolicyFile, ...]) -> None:
        """DocumentError when a check is named that does not exist or an expression's name is taken."""
        self.name = name
        self.files = files
        self._known = self._names()
        for file in files:
            for where, levels in self._tables(file.policy):
                for name in levels:
                    self._demand_known(file, name, f"{where}.{name}")
            for index, waiver in enumerate(file.policy.waiver):
                where = f"$.waiver[{index}].check"
                self._demand_known(file, waiver.check, where)
                if waiver.check in _ENGINE:
                    raise DocumentError(file.source.file, f"{waiver.check} cannot be waived", where=where)

    @property
    def expressions(self) -> Iterator[tuple[Expression, TomlSource, int]]:
        """Every expression with its file and its number there."""
        for file in self.files:
            for index, expression in enumerate(file.policy.expression):
                yield expression, file.source, index

    @property
    def waivers(self) -> Iterator[PlacedWaiver]:
        """Every waiver, in the order of the files."""
        for file in self.files:
            for index, waiver in enumerate(file.policy.waiver):
                yield PlacedWaiver(waiver=waiver, source=file.source, index=index)

    @property
    def demands_of_all(self) -> Iterator[Demand]:
        """Every demand in it, of whatever scope: what the surroundings have to be looked at for."""
        for file in self.files:
            yield file.policy.demand
            yield from (scope.demand for scope in file.policy.scope)

    def for_subject(self, subject: Subject) -> Effective:
        """The checks and the demands that are for `subject`."""
        levels: dict[str, Level] = {name: check.severity.value for name, check in CHECKS.items()}
        levels.update({expression.id: expression.severity.value for expression, _, _ in self.expressions})
        demand = Demand()
        for file in self.files:
            levels.update(file.policy.checks)
            demand = _merged(demand, file.policy.demand)
            for scope in file.policy.scope:
                if _is_about(scope, subject):
                    levels.update(scope.checks)
                    demand = _merged(demand, scope.demand)
        wanted = {name: Severity(level) for name, level in levels.items() if level != OFF}
        return Effective(levels=wanted, demand=demand)

    def of_policy(self, check: str) -> Severity | None:
        """The severity of a check that is about the policy itself; None when it is off."""
        level: Level = CHECKS[check].severity.value
        for file in self.files:
            level = file.policy.checks.get(check, level)
        return None if level == OFF else Severity(level)

    def _names(self) -> frozenset[str]:
        names = set(CHECKS)
        for expression, source, index in self.expressions:
            if expression.id in names:
                raise DocumentError(
                    source.file, f"the name {expression.id!r} is taken", where=f"$.expression[{index}].id"
                )
            names.add(expression.id)
        return frozenset(names)

    def _tables(self, policy: Policy) -> Iterator[tuple[str, Mapping[str, Level]]]:
        yield "$.checks", policy.checks
        for index, scope in enumerate(policy.scope):
            yield f"$.scope[{index}].checks", scope.checks

    def _demand_known(self, file: PolicyFile, name: str, where: str) -> None:
        if name not in self._known:
            raise DocumentError(
                file.source.file,
                f"there is no check {name!r}",
                where=where,
                hint="profiles/policies/README.md lists them",
            )


def _is_about(scope: Scope, subject: Subject) -> bool:
    by_name = any(matches_text(glob, subject.name) for glob in scope.profiles)
    return by_name or any(matches_path(glob, subject.file) for glob in scope.paths)


_ADDED_UP: Final = (
    "forbidden_syscalls", "required_syscalls", "forbidden_while_serving", "forbidden_capabilities", "forbidden_network",
    "exports", "required_limits",
)  # fmt: skip


def _merged(base: Demand, more: Demand) -> Demand:
    """`base` with everything that `more` says."""
    changes: dict[str, object] = {}
    for name in Demand.__struct_fields__:
        old, new = getattr(base, name), getattr(more, name)
        if name in _ADDED_UP:
            changes[name] = tuple(dict.fromkeys((*old, *new)))
        elif name == "forbidden_arguments":
            changes[name] = {call: (*old.get(call, ()), *new.get(call, ())) for call in {**old, **new}}
        elif name == "most":
            limits = {kind: getattr(new, kind) for kind in new.__struct_fields__ if getattr(new, kind) is not None}
            changes[name] = msgspec.structs.replace(old, **limits)
        elif isinstance(old, dict):
            changes[name] = {**old, **new}
        else:
            changes[name] = old if new is None else new
    return msgspec.structs.replace(base, **changes)
