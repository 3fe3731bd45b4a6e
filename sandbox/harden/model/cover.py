"""Whether a profile grants everything that a run did."""

from __future__ import annotations

from collections.abc import Iterator

from harden.model.guarded_root import ON_ROOT
from harden.model.need import capability_needs, file_needs, network_needs
from harden.model.network_rule import ANY_PORT, NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.path_text import to_text
from harden.model.peak import peak_of
from harden.model.profile import Profile, Rights
from harden.model.recording import FileOperation, Run
from harden.model.resource_limit import render_limit
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

__all__ = ["FileIndex", "allows", "missing"]


class FileIndex:
    """Which operations a set of file rights allows on one path; literal patterns cost one look-up."""

    def __init__(self, rights: Rights) -> None:
        self._literal: dict[bytes, frozenset[FileOperation]] = {}
        self._patterns: list[tuple[PathPattern, frozenset[FileOperation]]] = []
        for pattern, operations in rights.all_files():
            if pattern.is_literal:
                self._literal[pattern.path] = operations | self._literal.get(pattern.path, frozenset())
            else:
                self._patterns.append((pattern, operations))

    def operations(self, path: bytes) -> frozenset[FileOperation]:
        """Everything allowed on `path`."""
        found = self._literal.get(path, frozenset())
        for pattern, operations in self._patterns:
            if not operations <= found and pattern.matches(path):
                found |= operations
        return found


def missing(profile: Profile, run: Run) -> tuple[str, ...]:
    """What `run` needs and `profile` does not grant, a sentence each; nothing when the profile covers the run."""
    rights = profile.rights
    return (
        *_syscalls(rights, run),
        *_arguments(rights, run),
        *(f"capability {name}" for name in sorted(capability_needs(run) - {c.name for c in rights.all_capabilities()})),
        *_files(rights, run),
        *_network(rights, run),
        *_limits(rights, run),
    )


def _syscalls(rights: Rights, run: Run) -> Iterator[str]:
    granted = rights.all_syscalls()
    for seen in run.syscalls:
        if seen.name not in granted:
            yield f"system call {seen.name} by {seen.executable}"
        elif seen.arch not in rights.architectures:
            yield f"system call {seen.name} of the {seen.arch} ABI by {seen.executable}"


def _arguments(rights: Rights, run: Run) -> Iterator[str]:
    allowed = {name: rights.argument_values(name) for name in rights.arguments}
    for seen in run.arguments:
        rows = allowed.get(seen.name)
        if rows is None:
            continue
        if seen.values is None:
            yield f"{seen.name} with arguments that were not recorded, by {seen.executable}"
        elif not any(_matches(row, seen.values) for row in rows):
            texts = ", ".join(render_values(ARGUMENT_ROWS[seen.name], seen.values))
            yield f"{seen.name}({texts}) by {seen.executable}"


def _matches(row: tuple[int | None, ...], values: tuple[int, ...]) -> bool:
    return all(wanted is None or wanted == value for wanted, value in zip(row, values, strict=True))


def _files(rights: Rights, run: Run) -> Iterator[str]:
    index = FileIndex(rights)
    for path, needed in sorted(file_needs(run).items()):
        operations = needed & ON_ROOT if path == b"/" else needed
        for operation in sorted(operations - index.operations(path)):
            yield f"{operation} {to_text(path)}"


def _network(rights: Rights, run: Run) -> Iterator[str]:
    granted = rights.all_network()
    for rule in sorted(network_needs(run)):
        if not any(allows(wider, rule) for wider in granted):
            yield rule.render()


def _limits(rights: Rights, run: Run) -> Iterator[str]:
    for name, most in rights.all_limits().items():
        peak = peak_of(run, name)
        if peak is not None and max(peak.value, peak.asked) > most:
            yield f"{name} up to {max(peak.value, peak.asked)}, limited to {render_limit(name, most)}"


def allows(wider: NetworkRule, rule: NetworkRule) -> bool:
    """Whether a granted rule lets through what the other one asks for."""
    if wider == rule:
        return True
    if (wider.operation, wider.family, wider.type) != (rule.operation, rule.family, rule.type):
        return False
    if wider.port == ANY_PORT and rule.port is not None:
        return wider.address == rule.address
    if not (rule.family == "AF_UNIX" and wider.address.startswith("/") and rule.address.startswith("/")):
        return False
    return PathPattern.parse(wider.address).covers(PathPattern.parse(rule.address))
