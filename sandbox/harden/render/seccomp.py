"""The seccomp section of an OCI runtime-spec (config-linux.md, "Seccomp") as docker, podman and Kubernetes take it."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from typing import Any, Final

from harden.bpf.action import ALLOW, ENOSYS, EPERM
from harden.bpf.decision import Condition, Decision, Table
from harden.model.arch import Arch
from harden.model.profile import Profile
from harden.model.syscall import highest_number, name_of, numbers
from harden.render.rendered import Rendered

__all__ = ["render_seccomp"]

_RUNTIME_EXEC: Final = "execve"
_RUNTIME_CALLS: Final = ("close", "close_range", "fcntl", "getdents64", "openat", "write")
"""What runc calls between installing a filter (under no_new_privs) and its execve."""
_MULTIPLEXED: Final = ("accept4", "bind", "connect", "recvmsg", "sendmsg", "setsockopt", "socket", "socketpair")
_LARGEST_ARTIFACT: Final = 128
"""KEP-6061: syscall entries in one seccomp artifact."""

_MEANINGS: Final = {ALLOW: ("SCMP_ACT_ALLOW", None), ENOSYS: ("SCMP_ACT_ERRNO", errno.ENOSYS)}

Meaning = tuple[str, int | None, Condition]
"""Action, errno and arguments of one entry."""


def render_seccomp(profile: Profile) -> Rendered:
    """`{"defaultAction": …, "syscalls": […]}`; entries that differ in their names only are one entry."""
    decision = Decision.of(profile.rights)
    by_meaning: dict[Meaning, set[str]] = {}
    warnings: list[str] = []
    for name in sorted({name for arch in decision.tables for name in numbers(arch)}):
        meanings = [set(_meanings(table, name)) for table in decision.tables.values() if name in numbers(table.arch)]
        if any(each != meanings[0] for each in meanings):
            warnings.append(_differs(decision, name))
        for meaning in meanings[0]:
            by_meaning.setdefault(meaning, set()).add(name)
    allowed = by_meaning.setdefault(("SCMP_ACT_ALLOW", None, ()), set())
    if _RUNTIME_EXEC not in allowed:
        allowed.add(_RUNTIME_EXEC)
        warnings.append(
            "execve is allowed, because the container runtime needs it after the filter; harden run allows it once"
        )
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": [arch.oci_name for arch in decision.tables],
        "syscalls": [_entry(meaning, by_meaning[meaning]) for meaning in sorted(by_meaning, key=_order)],
    }
    warnings += _limits(decision, allowed)
    if len(by_meaning) > _LARGEST_ARTIFACT:
        warnings.append(f"{len(by_meaning)} entries; Kubernetes takes {_LARGEST_ARTIFACT} in a profile from a registry")
    return Rendered(content=json.dumps(document, indent=2).encode() + b"\n", warnings=tuple(warnings))


def _meanings(table: Table, name: str) -> Iterator[Meaning]:
    number = numbers(table.arch)[name]
    for condition in table.conditions.get(number, ()):
        yield ("SCMP_ACT_ALLOW", None, condition)
    action = table.actions.get(number)
    if action is not None and action != EPERM:
        yield (*_MEANINGS[action], ())


def _entry(meaning: Meaning, names: set[str]) -> dict[str, Any]:
    action, number, condition = meaning
    entry: dict[str, Any] = {"names": sorted(names), "action": action}
    if number is not None:
        entry["errnoRet"] = number
    if condition:
        # For SCMP_CMP_MASKED_EQ `value` is the mask and `valueTwo` what has to be left under it.
        entry["args"] = [
            {"index": each.index, "value": each.mask, "valueTwo": each.value, "op": "SCMP_CMP_MASKED_EQ"}
            for each in condition
        ]
    return entry


def _order(meaning: Meaning) -> tuple[bool, int, str, Condition]:
    action, number, condition = meaning
    return (bool(condition), number or 0, action, condition)


def _differs(decision: Decision, name: str) -> str:
    arches = [arch for arch in decision.tables if name in numbers(arch)]
    return f"{name}: the rule for {arches[0]} is written for {', '.join(arches)}, for which the profile differs"


def _limits(decision: Decision, allowed: set[str]) -> Iterator[str]:
    missing = [name for name in _RUNTIME_CALLS if name not in allowed]
    if missing:
        yield f"a runtime may also need these before it executes the program: {', '.join(missing)}"
    unnamed = sorted(
        {name_of(arch, number) for arch, table in decision.tables.items() for number in table.actions}
        - {name for arch in decision.tables for name in numbers(arch)}
    )
    if unnamed:
        yield f"left out, because the format knows calls by name only: {', '.join(unnamed)}"
    newest = ", ".join(f"{highest_number(arch)} ({arch})" for arch in decision.tables if arch is not Arch.X32)
    yield f"calls newer than number {newest} get what the runtime gives them; the profile says ENOSYS"
    if Arch.X86_64 in decision.tables and Arch.X32 not in decision.tables:
        yield "calls of x32 and of other architectures get what the runtime gives them; the profile kills the process"
    i386 = decision.tables.get(Arch.I386)
    if i386 is not None and any(
        meaning[0] == "SCMP_ACT_ALLOW" for name in _MULTIPLEXED for meaning in _meanings(i386, name)
    ):
        yield "on i386, libseccomp also lets socketcall through for every socket call that is allowed by name"
