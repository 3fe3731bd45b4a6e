"""linux.seccomp of the OCI runtime-spec (config-linux.md, "Seccomp"), alone or inside a bundle's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harden.bpf.action import ALLOW
from harden.check.foreign.json_source import JsonSource, Path
from harden.check.foreign.rule_filter import EVERY_MACHINE, RuleFilter
from harden.check.foreign.seccomp_json import (
    Assumptions,
    Rules,
    architectures,
    machine_of,
    read_action,
    read_entry,
    read_errno,
    unknown_keys,
)
from harden.check.foreign.source import WordLocator
from harden.check.subject import NotChecked, Section, Subject, SubjectKind
from harden.errors import UsageError
from harden.model.capability import Capability

__all__ = ["read_oci"]

_KEYS: Final = (
    "defaultAction",
    "defaultErrnoRet",
    "architectures",
    "flags",
    "listenerPath",
    "listenerMetadata",
    "syscalls",
)
_ENTRY_KEYS: Final = ("names", "name", "action", "errnoRet", "args", "comment")
_CAPABILITY_SETS: Final = ("bounding", "effective", "permitted", "inheritable", "ambient")


def read_oci(source: JsonSource, name: str, assumptions: Assumptions) -> Subject:
    """The subject of a seccomp object or of a config.json; DocumentError for what no runtime would take."""
    document = source.object_at((), source.value)
    locator = WordLocator(source.file)
    if "defaultAction" in document:
        facet, passed = read_seccomp(source, (), document, locator, assumptions)
        return _subject(source, name, locator, facet, passed)
    linux = source.object_at(("linux",), document.get("linux"))
    capabilities = _capabilities(source, document, locator)
    if linux.get("seccomp") is None:
        # No seccomp section is no filter: everything gets through.
        locator.note(Section.DEFAULT, "", source.location(("linux",)))
        machine = machine_of((), assumptions)
        everything = RuleFilter(architectures=EVERY_MACHINE[machine], default=ALLOW, rules={})
        return _subject(source, name, locator, everything, (), capabilities)
    section = source.object_at(("linux", "seccomp"), linux["seccomp"])
    facet, passed = read_seccomp(source, ("linux", "seccomp"), section, locator, assumptions)
    return _subject(source, name, locator, facet, passed, capabilities)


def read_seccomp(
    source: JsonSource, path: Path, section: Mapping[str, Any], locator: WordLocator, assumptions: Assumptions
) -> tuple[RuleFilter, tuple[NotChecked, ...]]:
    """The filter of one seccomp object."""
    passed = [*unknown_keys(source, path, section, _KEYS)]
    number = read_errno(source, path, section, "defaultErrnoRet", "")
    default = read_action(source, (*path, "defaultAction"), section.get("defaultAction"), number)
    locator.note(Section.DEFAULT, "", source.location((*path, "defaultAction")))
    named = [
        source.text_at((*path, "architectures", index), each)
        for index, each in enumerate(source.list_at((*path, "architectures"), section.get("architectures")))
    ]
    locator.note(Section.ARCHITECTURE, "", source.location((*path, "architectures")))
    locator.note(Section.SYSCALL, "", source.location((*path, "syscalls")))
    rules = Rules(source, locator)
    for index, value in enumerate(source.list_at((*path, "syscalls"), section.get("syscalls"))):
        place = (*path, "syscalls", index)
        entry = source.object_at(place, value)
        passed += unknown_keys(source, place, entry, _ENTRY_KEYS)
        rules.add(read_entry(source, place, entry), place)
    passed += rules.unknown_calls()
    facet = rules.finish(default, architectures(named, machine_of(named, assumptions)))
    return facet, tuple(sorted(passed))


def _capabilities(
    source: JsonSource, document: Mapping[str, Any], locator: WordLocator
) -> frozenset[Capability] | None:
    process = document.get("process")
    if process is None or source.object_at(("process",), process).get("capabilities") is None:
        return None
    path: Path = ("process", "capabilities")
    sets = source.object_at(path, process["capabilities"])
    locator.note(Section.CAPABILITY, "", source.location(path))
    found: set[Capability] = set()
    for name in _CAPABILITY_SETS:
        for index, value in enumerate(source.list_at((*path, name), sets.get(name))):
            place = (*path, name, index)
            try:
                capability = Capability.parse(source.text_at(place, value))
            except UsageError as error:
                raise source.problem(place, f"is {value!r}, no capability", hint=error.hint) from None
            locator.note(Section.CAPABILITY, capability.name, source.location(place))
            found.add(capability)
    return frozenset(found)


def _subject(
    source: JsonSource,
    name: str,
    locator: WordLocator,
    seccomp: RuleFilter,
    not_checked: tuple[NotChecked, ...],
    capabilities: frozenset[Capability] | None = None,
) -> Subject:
    return Subject(
        name=name,
        file=source.file,
        kind=SubjectKind.OCI_SECCOMP,
        locator=locator,
        seccomp=seccomp,
        capabilities=capabilities,
        not_checked=not_checked,
    )
