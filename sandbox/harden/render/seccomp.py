"""The seccomp section of an OCI runtime-spec (config-linux.md, "Seccomp") as docker, podman and Kubernetes take it."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from typing import Any, Final

from harden.bpf.action import ALLOW, ENOSYS, EPERM
from harden.bpf.decision import Comparison, Condition, Decision, Table
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.model.syscall import name_of, numbers
from harden.render.ability import is_granted
from harden.render.no_limits import NO_LIMITS
from harden.render.rendered import Limit, Rendered

__all__ = ["FILTER_LIMITS", "LIMITS", "MOST_BYTES", "MOST_ENTRIES", "render_seccomp", "seccomp_document"]

_RUNTIME_EXEC: Final = "execve"
_MULTIPLEXED: Final = ("accept4", "bind", "connect", "recvmsg", "sendmsg", "setsockopt", "socket", "socketpair")
MOST_ENTRIES: Final = 128
"""KEP-6061: system call entries in one seccomp artifact."""
MOST_BYTES: Final = 1 << 20
"""KEP-6061: size of one seccomp artifact."""


def _lacks_exec(profile: Profile) -> bool:
    return not is_granted(profile.rights, _RUNTIME_EXEC)


def _is_on_x86(profile: Profile) -> bool:
    return Arch.X86_64 in profile.rights.architectures and Arch.X32 not in profile.rights.architectures


def _has_i386_sockets(profile: Profile) -> bool:
    return Arch.I386 in profile.rights.architectures and is_granted(profile.rights, *_MULTIPLEXED)


def _lacks_runtime(profile: Profile) -> bool:
    return Origin.RUNTIME not in profile.rights.syscalls


FILTER_LIMITS: Final = (
    Limit("what a container runtime calls itself under the filter: --runtime adds it", _lacks_runtime),
    Limit("no execve: the container runtime needs it after the filter; harden run allows it once", _lacks_exec),
    Limit("ENOSYS for calls newer than the profile: they get what the runtime gives them"),
    Limit("killing the process for x32 and other architectures: they get what the runtime gives them", _is_on_x86),
    Limit("socketcall of i386: libseccomp lets it through for every socket call that is allowed", _has_i386_sockets),
)
LIMITS: Final = (*FILTER_LIMITS, NO_LIMITS)

_MEANINGS: Final = {ALLOW: ("SCMP_ACT_ALLOW", None), ENOSYS: ("SCMP_ACT_ERRNO", errno.ENOSYS)}

Meaning = tuple[str, int | None, Condition]
"""Action, errno and arguments of one entry."""


def render_seccomp(profile: Profile) -> Rendered:
    """`{"defaultAction": …, "syscalls": […]}` as a file."""
    document, warnings = seccomp_document(profile)
    content = json.dumps(document, indent=2).encode() + b"\n"
    count = len(document["syscalls"])
    if count > MOST_ENTRIES or len(content) > MOST_BYTES:
        most = f"Kubernetes takes {MOST_ENTRIES} and {MOST_BYTES} in a profile from a registry"
        warnings = (*warnings, f"{count} entries, {len(content)} bytes: {most}")
    return Rendered(content=content, warnings=warnings)


def seccomp_document(profile: Profile) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The section as a value, and its warnings; entries that differ in their names only are one entry."""
    decision = Decision.of(profile.rights)
    by_meaning: dict[Meaning, set[str]] = {}
    warnings: list[str] = []
    for name in sorted({name for arch in decision.tables for name in numbers(arch)}):
        meanings = [set(_meanings(table, name)) for table in decision.tables.values() if name in numbers(table.arch)]
        if any(each != meanings[0] for each in meanings):
            warnings.append(_differs(decision, name))
        for meaning in meanings[0]:
            by_meaning.setdefault(meaning, set()).add(name)
    by_meaning.setdefault(("SCMP_ACT_ALLOW", None, ()), set()).add(_RUNTIME_EXEC)
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": [arch.oci_name for arch in decision.tables],
        "syscalls": [_entry(meaning, by_meaning[meaning]) for meaning in sorted(by_meaning, key=_order)],
    }
    unnamed = sorted(
        {name_of(arch, number) for arch, table in decision.tables.items() for number in table.actions}
        - {name for arch in decision.tables for name in numbers(arch)}
    )
    if unnamed:
        warnings.append(f"left out, because the format knows calls by name only: {', '.join(unnamed)}")
    return document, tuple(warnings)


def _meanings(table: Table, name: str) -> Iterator[Meaning]:
    number = numbers(table.arch)[name]
    for condition in _merged(table.conditions.get(number, ())):
        yield ("SCMP_ACT_ALLOW", None, condition)
    action = table.actions.get(number)
    if action is not None and action != EPERM:
        yield (*_MEANINGS[action], ())


def _merged(conditions: tuple[Condition, ...]) -> list[Condition]:
    """Fewer conditions that hold for the same arguments: two that differ in one bit of one value are one without it."""
    found = set(conditions)
    while pair := next(_twins(found), None):
        first, second, one = pair
        found -= {first, second}
        found.add(one)
    return sorted(found)


def _twins(conditions: set[Condition]) -> Iterator[tuple[Condition, Condition, Condition]]:
    for condition in sorted(conditions):
        for place, each in enumerate(condition):
            for bit in _bits(each.mask & ~each.value):
                second = _with(condition, place, Comparison(each.index, each.mask, each.value | bit))
                if second in conditions:
                    yield (
                        condition,
                        second,
                        _with(condition, place, Comparison(each.index, each.mask & ~bit, each.value)),
                    )


def _bits(mask: int) -> Iterator[int]:
    return (1 << shift for shift in range(mask.bit_length()) if mask >> shift & 1)


def _with(condition: Condition, place: int, comparison: Comparison) -> Condition:
    return (*condition[:place], comparison, *condition[place + 1 :])


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
