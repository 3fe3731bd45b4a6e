"""The seccomp profiles of Docker and Podman (containers/common): OCI's, with archMap, includes and excludes.

They are resolved for one host: its architecture, its kernel, and the capabilities that the container is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from harden.check.foreign.json_source import JsonSource, Path
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
from harden.model.arch import Arch
from harden.model.capability import Capability

__all__ = ["is_docker", "read_docker"]

_KEYS: Final = (
    *("defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "syscalls"),
    *("flags", "listenerPath", "listenerMetadata"),
)
_ENTRY_KEYS: Final = ("names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes")
_CONDITION_KEYS: Final = ("caps", "arches", "minKernel")
_GO_NAME: Final = {Arch.X86_64: "amd64", Arch.AARCH64: "arm64"}
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:[.\-].*)?")


def is_docker(document: Any) -> bool:
    """Whether a parsed seccomp object uses a key that only this dialect has."""
    if not isinstance(document, dict) or "defaultAction" not in document:
        return False
    entries = document.get("syscalls")
    return (
        "archMap" in document
        or "defaultErrno" in document
        or (isinstance(entries, list) and any(isinstance(e, dict) and e.keys() & _DIALECT for e in entries))
    )


_DIALECT: Final = {"includes", "excludes", "errno"}


def read_docker(source: JsonSource, name: str, assumptions: Assumptions) -> Subject:
    """The subject of one profile; DocumentError for what the engines would not take."""
    document = source.object_at((), source.value)
    locator = WordLocator(source.file)
    passed = [*unknown_keys(source, (), document, _KEYS)]
    number = read_errno(source, (), document, "defaultErrnoRet", "defaultErrno")
    default = read_action(source, ("defaultAction",), document.get("defaultAction"), number)
    locator.note(Section.DEFAULT, "", source.location(("defaultAction",)))
    named, machine = _architectures(source, document, locator, assumptions)
    locator.note(Section.SYSCALL, "", source.location(("syscalls",)))
    rules = Rules(source, locator)
    for index, value in enumerate(source.list_at(("syscalls",), document.get("syscalls"))):
        path: Path = ("syscalls", index)
        entry = source.object_at(path, value)
        passed += unknown_keys(source, path, entry, _ENTRY_KEYS)
        read = read_entry(source, path, entry)
        if _applies(source, path, entry, machine, assumptions, passed):
            rules.add(read, path)
    passed += rules.unknown_calls()
    return Subject(
        name=name,
        file=source.file,
        kind=SubjectKind.DOCKER_SECCOMP,
        locator=locator,
        seccomp=rules.finish(default, architectures(named, machine)),
        not_checked=tuple(sorted(passed)),
    )


def _architectures(
    source: JsonSource, document: Mapping[str, Any], locator: WordLocator, assumptions: Assumptions
) -> tuple[list[str], Arch]:
    listed = _texts(source, ("architectures",), document.get("architectures"))
    entries = source.list_at(("archMap",), document.get("archMap"))
    if listed and entries:
        raise source.problem(("archMap",), "and `architectures` are both given: engines take one of them")
    locator.note(Section.ARCHITECTURE, "", source.location(("archMap",) if entries else ("architectures",)))
    if not entries:
        return listed, machine_of(listed, assumptions)
    by_native: dict[str, list[str]] = {}
    for index, value in enumerate(entries):
        path: Path = ("archMap", index)
        entry = source.object_at(path, value)
        native = source.text_at((*path, "architecture"), entry.get("architecture"))
        by_native[native] = [native, *_texts(source, (*path, "subArchitectures"), entry.get("subArchitectures"))]
    machine = machine_of(by_native, assumptions)
    return by_native.get(machine.oci_name, []), machine


def _applies(
    source: JsonSource,
    path: Path,
    entry: Mapping[str, Any],
    machine: Arch,
    assumptions: Assumptions,
    passed: list[NotChecked],
) -> bool:
    conditions = {}
    for key in ("includes", "excludes"):
        conditions[key] = source.object_at((*path, key), entry.get(key) or {})
        passed += unknown_keys(source, (*path, key), conditions[key], _CONDITION_KEYS)
    included = [*_holds(source, (*path, "includes"), conditions["includes"], machine, assumptions)]
    excluded = [*_holds(source, (*path, "excludes"), conditions["excludes"], machine, assumptions)]
    # All that is asked for must hold to include an entry; one thing that holds is enough to exclude it.
    return all(included) and not any(excluded)


def _holds(
    source: JsonSource, path: Path, condition: Mapping[str, Any], machine: Arch, assumptions: Assumptions
) -> Iterator[bool]:
    arches = _texts(source, (*path, "arches"), condition.get("arches"))
    if arches:
        yield _GO_NAME[machine] in arches
    for index, text in enumerate(_texts(source, (*path, "caps"), condition.get("caps"))):
        try:
            yield Capability.parse(text) in assumptions.capabilities
        except UsageError as error:
            raise source.problem((*path, "caps", index), f"is {text!r}, no capability", hint=error.hint) from None
    if condition.get("minKernel"):
        place = (*path, "minKernel")
        text = source.text_at(place, condition["minKernel"])
        version = _VERSION.fullmatch(text)
        if version is None:
            raise source.problem(place, f"is {text!r}, no kernel version", hint='write "4.8"')
        yield assumptions.kernel is None or assumptions.kernel >= (int(version[1]), int(version[2]))


def _texts(source: JsonSource, path: Path, value: Any) -> list[str]:
    return [source.text_at((*path, index), each) for index, each in enumerate(source.list_at(path, value))]
