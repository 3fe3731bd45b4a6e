"""What the JSON dialects of seccomp share: actions, comparisons and call names (runtime-spec, config-linux.md).

A runtime ignores keys that it does not know; so does this reader, and lists them as not checked.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from harden.bpf.action import ALLOW, KILL_PROCESS, KILL_THREAD, errno_action
from harden.check.foreign.json_source import JsonSource, Path
from harden.check.foreign.rule_filter import EVERY_MACHINE, ArgumentTest, CallRule, RuleFilter
from harden.check.foreign.source import WordLocator
from harden.check.passage import lets_through
from harden.check.subject import NotChecked, Section
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.syscall import numbers

__all__ = [
    "Assumptions",
    "Entry",
    "Rules",
    "architectures",
    "machine_of",
    "read_action",
    "read_entry",
    "read_errno",
    "unknown_keys",
]

_LARGEST: Final = 0xFFFFFFFFFFFFFFFF
_LARGEST_ERRNO: Final = 4095
_MOST_RULES: Final = 20_000
_MOST_TESTS: Final = 6
_FIXED: Final = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": ALLOW,
}
_TRACE: Final = 0x7FF00000
_OPERATORS: Final = {
    "SCMP_CMP_NE": "!=",
    "SCMP_CMP_LT": "<",
    "SCMP_CMP_LE": "<=",
    "SCMP_CMP_EQ": "==",
    "SCMP_CMP_GE": ">=",
    "SCMP_CMP_GT": ">",
    "SCMP_CMP_MASKED_EQ": "&",
}
_BY_OCI_NAME: Final = {arch.oci_name: arch for arch in Arch}
_KNOWN_CALLS: Final = frozenset(name for arch in Arch for name in numbers(arch))


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a file leaves to the host that applies it."""

    machine: Arch | None = None
    """The host's native ABI; None: the one that the file is written for, else x86_64."""
    capabilities: frozenset[Capability]
    """What the container is given, for rules that depend on it."""
    kernel: tuple[int, int] | None = None
    """The host's kernel version; None: newer than every version that a rule asks for."""
    syscall_groups: Mapping[str, frozenset[str]] = {}
    """systemd's call groups, `@name` to what it holds; a group that is not here is opaque."""


class Entry(msgspec.Struct, frozen=True):
    """One element of `syscalls`: its call names with their paths, and the rules for each of them."""

    names: tuple[tuple[str, Path], ...]
    rules: tuple[CallRule, ...]


class Rules:
    """Collects entries into a filter; notes the place of every name, that of an entry that lets it through first."""

    def __init__(self, source: JsonSource, locator: WordLocator) -> None:
        self._source = source
        self._locator = locator
        self._rules: dict[str, list[CallRule]] = {}
        self._passing: list[tuple[str, Path]] = []
        self._refusing: list[tuple[str, Path]] = []
        self._count = 0

    def add(self, entry: Entry, path: Path) -> None:
        """Take one entry; DocumentError beyond the largest number of rules."""
        through = any(lets_through(rule.action) for rule in entry.rules)
        for name, place in entry.names:
            self._count += len(entry.rules)
            if self._count > _MOST_RULES:
                raise self._source.problem(path, f"brings more than {_MOST_RULES} rules", hint="shorten the profile")
            self._rules.setdefault(name, []).extend(entry.rules)
            (self._passing if through else self._refusing).append((name, place))

    def finish(self, default: int, arches: tuple[Arch, ...]) -> RuleFilter:
        """The filter of everything added."""
        for name, place in (*self._passing, *self._refusing):
            self._locator.note(Section.SYSCALL, name, self._source.location(place))
            self._locator.note(Section.ARGUMENT, name, self._source.location(place))
        rules = {name: tuple(dict.fromkeys(found)) for name, found in self._rules.items()}
        return RuleFilter(architectures=arches, default=default, rules=rules)

    def unknown_calls(self) -> Iterator[NotChecked]:
        """Names that let something through and that no table knows; at most one note, at the first of them."""
        names = [(name, place) for name, place in self._passing if name not in _KNOWN_CALLS]
        if names:
            listed = ", ".join(sorted({name for name, _ in names}))
            text = f"allows calls that no architecture known here has: {listed}"
            yield self._source.not_checked(names[0][1], text)


def read_action(source: JsonSource, path: Path, value: Any, number: int | None) -> int:
    """The SECCOMP_RET_* value of an SCMP_ACT_* name; `number` is the errno or trace data, EPERM when None."""
    name = source.text_at(path, value)
    if name in _FIXED:
        return int(_FIXED[name])
    if name == "SCMP_ACT_ERRNO":
        # Errno 0 makes the call appear to succeed; it is refused all the same.
        data = errno.EPERM if number is None else number
        return int(errno_action(data)) if data else 0x00050000
    if name == "SCMP_ACT_TRACE":
        return _TRACE | (number or 0)
    raise source.problem(path, f"is {name!r}, no action", hint="actions are SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, …")


def read_errno(source: JsonSource, path: Path, entry: Mapping[str, Any], number_key: str, name_key: str) -> int | None:
    """The errno that an object gives as a number or, as Podman writes it, by name; None when it gives none."""
    if entry.get(number_key) is not None:
        return source.number_at((*path, number_key), entry[number_key], _LARGEST_ERRNO)
    text = entry.get(name_key)
    if text in (None, ""):
        return None
    number = getattr(errno, source.text_at((*path, name_key), text), None) if str(text).startswith("E") else None
    if not isinstance(number, int):
        raise source.problem((*path, name_key), f"is {text!r}, no errno")
    return number


def read_entry(source: JsonSource, path: Path, entry: Mapping[str, Any]) -> Entry:
    """One element of `syscalls`."""
    names = [
        (source.text_at((*path, "names", index), name), (*path, "names", index))
        for index, name in enumerate(source.list_at((*path, "names"), entry.get("names")))
    ]
    if entry.get("name"):
        names.append((source.text_at((*path, "name"), entry["name"]), (*path, "name")))
    if not names:
        raise source.problem(path, "names no call")
    number = read_errno(source, path, entry, "errnoRet", "errno")
    action = read_action(source, (*path, "action"), entry.get("action"), number)
    tests = [
        _test(source, (*path, "args", index), each)
        for index, each in enumerate(source.list_at((*path, "args"), entry.get("args")))
    ]
    if len(tests) > _MOST_TESTS:
        raise source.problem((*path, "args"), f"has {len(tests)} comparisons; at most {_MOST_TESTS} are read")
    if len({test.index for test in tests}) < len(tests):
        # Runtimes hand comparisons of one argument to libseccomp as rules of their own: any of them is enough.
        rules = tuple(CallRule(action, (test,)) for test in tests)
    else:
        rules = (CallRule(action, tuple(tests)),)
    return Entry(tuple(names), rules)


def _test(source: JsonSource, path: Path, value: Any) -> ArgumentTest:
    entry = source.object_at(path, value)
    operator = _OPERATORS.get(source.text_at((*path, "op"), entry.get("op")))
    if operator is None:
        raise source.problem((*path, "op"), f"is {entry['op']!r}, no comparison", hint="for example SCMP_CMP_EQ")
    index = source.number_at((*path, "index"), entry.get("index"), 5)
    first = source.number_at((*path, "value"), entry.get("value"), _LARGEST)
    if operator != "&":
        return ArgumentTest(index, operator, first)
    second = source.number_at((*path, "valueTwo"), entry.get("valueTwo", 0), _LARGEST)
    return ArgumentTest(index, "&", second & first, first)


def machine_of(named: Iterable[str], assumptions: Assumptions) -> Arch:
    """The native ABI that a profile is for."""
    if assumptions.machine is not None:
        return assumptions.machine
    listed = set(named)
    only_arm = Arch.AARCH64.oci_name in listed and Arch.X86_64.oci_name not in listed
    return Arch.AARCH64 if only_arm else Arch.X86_64


def architectures(named: Iterable[str], machine: Arch) -> tuple[Arch, ...]:
    """The ABIs of `machine` that a filter for the SCMP_ARCH_* names examines; libseccomp always adds the native one."""
    found = {_BY_OCI_NAME[name] for name in named if name in _BY_OCI_NAME} | {machine}
    return tuple(sorted(found & set(EVERY_MACHINE[machine])))


def unknown_keys(
    source: JsonSource, path: Path, entry: Mapping[str, Any], known: Iterable[str]
) -> Iterator[NotChecked]:
    """A note for every key that a runtime does not know; DocumentError for one that Go's JSON takes for another."""
    folded = {name.casefold(): name for name in known}
    for key in entry.keys() - set(known):
        if key.casefold() in folded:
            raise source.problem((*path, key), f"is `{folded[key.casefold()]}` in other letters: runtimes differ on it")
        yield source.not_checked((*path, key), f"key {key!r} is none of this format: a runtime ignores it")
