"""What a unit's settings let through as system calls (systemd.exec(5)); each setting is a seccomp filter of its own."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from typing import Final

from harden.bpf.action import ALLOW, ENOSYS, EPERM, KILL_PROCESS, errno_action
from harden.check.foreign.rule_filter import EVERY_MACHINE, ArgumentTest, CallRule, RuleFilter
from harden.check.foreign.source import WordLocator
from harden.check.foreign.unit_file import Assignment, Unit
from harden.check.subject import NotChecked, Section
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.syscall import numbers
from harden.model.syscall_argument_names import ADDRESS_FAMILIES

__all__ = ["address_families", "parse_syscall_groups", "syscall_filter"]

_ALWAYS: Final = (
    *("execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn", "clock_getres", "clock_gettime"),
    *("clock_nanosleep", "gettimeofday", "nanosleep", "pause", "time"),
)
"""Allowed beside every allow-list: systemd.exec(5) names the calls for execution, time and sleep."""
_ARCHITECTURES: Final = {"x86-64": Arch.X86_64, "x86": Arch.I386, "x32": Arch.X32, "arm64": Arch.AARCH64}
_OTHER_ARCHITECTURES: Final = frozenset(
    {"native", "arm", "loongarch64", "mips", "mips64", "mips64-le", "mips64-n32", "mips64-le-n32", "mips-le", "parisc"}
    | {"parisc64", "ppc", "ppc64", "ppc64-le", "riscv32", "riscv64", "s390", "s390x"}
)
_NAMESPACES: Final = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
}
_DENIED_BY: Final = {
    "ProtectKernelModules": ("init_module", "finit_module", "delete_module"),
    "ProtectKernelLogs": ("syslog",),
    "ProtectClock": ("clock_settime", "settimeofday", "adjtimex", "clock_adjtime"),
    "PrivateDevices": ("iopl", "ioperm"),
}
_SHM_EXEC: Final = 0x8000
_MULTIPLEXED: Final = frozenset({"socket", "shmat"})
"""Calls that i386 programs also make through socketcall(2) and ipc(2), where systemd's filters cannot look."""
_KNOWN: Final = frozenset(name for arch in Arch for name in numbers(arch))

Limits = dict[str, list[CallRule]]


def parse_syscall_groups(text: str) -> dict[str, frozenset[str]]:
    """The groups in the output of `systemd-analyze syscall-filter`, groups inside groups resolved."""
    listed: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = listed.setdefault(word, [])
        elif line.startswith("#"):
            # What follows lists the kernel's calls that no group has.
            current = []
        elif word and not word.startswith("#"):
            current.append(word)
    return {name: frozenset(_members(name, listed, frozenset())) for name in listed}


def _members(name: str, listed: Mapping[str, list[str]], above: frozenset[str]) -> Iterator[str]:
    for word in listed.get(name, ()):
        if word.startswith("@"):
            if word not in above:
                yield from _members(word, listed, above | {word})
        else:
            yield word


def syscall_filter(
    unit: Unit, machine: Arch, groups: Mapping[str, frozenset[str]], locator: WordLocator
) -> tuple[RuleFilter, list[NotChecked]]:
    """The filter of all settings together; DocumentError for words that systemd would refuse."""
    passed: list[NotChecked] = []
    default, rules = _listed(unit, groups, locator, passed)
    limits = _limits(unit)
    arches = _architectures(unit, machine, locator)
    unchecked: tuple[Arch, ...] = ()
    if default == ALLOW and not rules and not limits and unit.last("SystemCallArchitectures") is None:
        unchecked = tuple(arch for arch in arches if arch is not machine)
    return (
        RuleFilter(
            architectures=tuple(arch for arch in arches if arch not in unchecked),
            unchecked=unchecked,
            default=default,
            rules={name: (CallRule(action),) for name, action in rules.items()},
            limits={arch: _limits_on(arch, limits) for arch in arches},
        ),
        passed,
    )


def _listed(
    unit: Unit, groups: Mapping[str, frozenset[str]], locator: WordLocator, passed: list[NotChecked]
) -> tuple[int, dict[str, int]]:
    assignments = unit.all("SystemCallFilter")
    if not assignments:
        return ALLOW, {}
    locator.note(Section.SYSCALL, "", assignments[0].location)
    locator.note(Section.DEFAULT, "", assignments[0].location)
    refused = _refusal(unit)
    is_allow_list = not assignments[0].is_inverted
    rules: dict[str, int] = dict.fromkeys(_ALWAYS, ALLOW) if is_allow_list else {}
    default = refused if is_allow_list else int(ALLOW)
    for each in assignments:
        inverted = each.is_inverted
        for word in each.names():
            name, _, errno_text = word.partition(":")
            names = _resolve(each, name, groups, passed)
            if names is None:
                # An allowed group that is not known may hold any call that is not refused by name.
                default = int(ALLOW) if not inverted else default
                continue
            for call in names:
                locator.note(Section.SYSCALL, call, each.location)
                locator.note(Section.ARGUMENT, call, each.location)
                rules[call] = _errno(each, errno_text) if errno_text else refused if inverted else int(ALLOW)
    return default, rules


def _resolve(
    each: Assignment, name: str, groups: Mapping[str, frozenset[str]], passed: list[NotChecked]
) -> frozenset[str] | None:
    if not name.startswith("@"):
        if name not in _KNOWN:
            passed.append(NotChecked(location=each.location, text=f"SystemCallFilter names {name!r}, no known call"))
        return frozenset({name})
    if name in groups:
        return groups[name]
    meaning = "refuses nothing here" if each.is_inverted else "counts as every call"
    text = f"call group {name} is not known without `systemd-analyze syscall-filter`, so that it {meaning}"
    passed.append(NotChecked(location=each.location, text=text))
    return None


def _refusal(unit: Unit) -> int:
    found = unit.last("SystemCallErrorNumber")
    return KILL_PROCESS if found is None else _errno(found, found.value)


def _errno(each: Assignment, text: str) -> int:
    if text == "kill":
        return KILL_PROCESS
    number = int(text) if text.isdecimal() and len(text) < 6 else getattr(errno, text, None)
    if not isinstance(number, int) or not 0 < number < 4096:
        raise DocumentError(str(each.location), f"{each.key}: {text!r} is no errno")
    return errno_action(number)


def _architectures(unit: Unit, machine: Arch, locator: WordLocator) -> tuple[Arch, ...]:
    assignments = unit.all("SystemCallArchitectures")
    every = EVERY_MACHINE[machine]
    if not assignments:
        return every
    locator.note(Section.ARCHITECTURE, "", assignments[0].location)
    words = {word for each in assignments for word in each.names()}
    unknown = sorted(words - _ARCHITECTURES.keys() - _OTHER_ARCHITECTURES)
    if unknown:
        raise DocumentError(
            str(assignments[0].location), f"SystemCallArchitectures: {unknown[0]!r} is no architecture known here"
        )
    found = {_ARCHITECTURES.get(word) for word in words} | ({machine} if "native" in words else set())
    return tuple(arch for arch in every if arch in found)


def address_families(unit: Unit) -> frozenset[str] | None:
    """The families that sockets may be made of; None when any."""
    assignments = unit.all("RestrictAddressFamilies")
    if not assignments:
        return None
    if assignments[0].value == "none":
        found: set[str] = set()
        assignments = assignments[1:]
    else:
        found = set(ADDRESS_FAMILIES.values()) if assignments[0].is_inverted else set()
    for each in assignments:
        names = set(each.names())
        unknown = sorted(names - set(ADDRESS_FAMILIES.values()))
        if unknown:
            raise DocumentError(str(each.location), f"RestrictAddressFamilies: {unknown[0]!r} is no address family")
        found = found - names if each.is_inverted else found | names
    return frozenset(found)


def _limits(unit: Unit) -> Limits:
    limits: Limits = {}
    families = address_families(unit)
    if families is not None:
        inverted = unit.all("RestrictAddressFamilies")[0].is_inverted
        limits["socket"] = list(_family_rules(families, inverted=inverted))
    if unit.switch("MemoryDenyWriteExecute"):
        limits["mmap"] = limits["mmap2"] = [CallRule(EPERM, (ArgumentTest(2, "&", 6, 6),))]
        limits["mprotect"] = limits["pkey_mprotect"] = [CallRule(EPERM, (ArgumentTest(2, "&", 4, 4),))]
        limits["shmat"] = [CallRule(EPERM, (ArgumentTest(2, "&", _SHM_EXEC, _SHM_EXEC),))]
    _restrict_namespaces(unit, limits)
    for key, names in _DENIED_BY.items():
        if unit.switch(key):
            limits |= {name: [CallRule(EPERM)] for name in names}
    return limits


def _family_rules(families: frozenset[str], *, inverted: bool) -> Iterator[CallRule]:
    refused = errno_action(errno.EAFNOSUPPORT)
    if inverted:
        for number, name in ADDRESS_FAMILIES.items():
            if name not in families:
                yield CallRule(refused, (ArgumentTest(0, "==", number),))
    else:
        allowed = sorted(number for number, name in ADDRESS_FAMILIES.items() if name in families)
        yield CallRule(refused, tuple(ArgumentTest(0, "!=", number) for number in allowed))


def _restrict_namespaces(unit: Unit, limits: Limits) -> None:
    found = unit.last("RestrictNamespaces")
    if found is None or found.value.lower() in ("no", "0", "false", "off", "n", "f"):
        return
    if found.value.lower() in ("yes", "1", "true", "on", "y", "t"):
        refused = set(_NAMESPACES)
    else:
        names = set(found.names())
        unknown = sorted(names - set(_NAMESPACES))
        if unknown:
            raise DocumentError(str(found.location), f"RestrictNamespaces: {unknown[0]!r} is no kind of namespace")
        refused = names if found.is_inverted else set(_NAMESPACES) - names
    flags = [_NAMESPACES[name] for name in sorted(refused)]
    limits["clone"] = limits["unshare"] = [CallRule(EPERM, (ArgumentTest(0, "&", flag, flag),)) for flag in flags]
    limits["setns"] = [
        CallRule(EPERM, (ArgumentTest(1, "==", 0),)),
        *(CallRule(EPERM, (ArgumentTest(1, "&", flag, flag),)) for flag in flags),
    ]
    limits["clone3"] = [CallRule(ENOSYS)]


def _limits_on(arch: Arch, limits: Limits) -> dict[str, tuple[CallRule, ...]]:
    found = {name: tuple(rules) for name, rules in limits.items()}
    if arch is Arch.I386:
        found = {name: rules for name, rules in found.items() if name not in _MULTIPLEXED}
        if "mmap" in found:
            # Old mmap takes a pointer to its arguments: it is refused whole.
            found["mmap"] = (CallRule(EPERM),)
    return found
