"""A systemd unit or drop-in as a subject (systemd.exec(5)).

Settings that only narrow a right and cannot be expressed here are left out, so that no check sees less than the unit
grants; settings that may widen one are listed as not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.finding import Location
from harden.check.foreign.seccomp_json import Assumptions
from harden.check.foreign.source import Source, WordLocator
from harden.check.foreign.systemd_syscalls import address_families, syscall_filter
from harden.check.foreign.unit_file import Unit, parse_unit
from harden.check.subject import FileGrant, NetworkFacet, NotChecked, Section, Subject, SubjectKind
from harden.errors import DocumentError, UsageError
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.path_pattern import PathPattern
from harden.model.recording import FileOperation

__all__ = ["read_systemd"]

_DROPPED_BY: Final = {
    "PrivateDevices": ("CAP_MKNOD", "CAP_SYS_RAWIO"),
    "ProtectKernelModules": ("CAP_SYS_MODULE",),
    "ProtectKernelLogs": ("CAP_SYSLOG",),
    "ProtectClock": ("CAP_SYS_TIME", "CAP_WAKE_ALARM"),
}
_WIDENING: Final = (
    *("BindPaths", "BindReadOnlyPaths", "DeviceAllow", "Delegate", "ExtensionDirectories", "ExtensionImages"),
    *("JoinsNamespaceOf", "MountImages", "NetworkNamespacePath", "OpenFile", "PAMName", "PermissionsStartOnly"),
    *("RootDirectory", "RootDirectoryStartOnly", "RootImage", "SupplementaryGroups", "PassEnvironment"),
)
_COMMANDS: Final = (
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "ExecCondition",
)
_DIRECTORIES: Final = {
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "RuntimeDirectory": "/run",
    "ConfigurationDirectory": "/etc",
}
_LOOKING: Final = frozenset(
    {FileOperation.READ, FileOperation.EXEC, FileOperation.MAP, FileOperation.STAT, FileOperation.LIST}
)
_EVERYTHING: Final = frozenset(FileOperation)


def read_systemd(data: bytes, file: str, name: str, assumptions: Assumptions) -> Subject:
    """The subject of one unit; DocumentError with its line for what systemd would refuse."""
    unit = parse_unit(Source(data, file))
    locator = WordLocator(file)
    machine = assumptions.machine or Arch.X86_64
    seccomp, passed = syscall_filter(unit, machine, assumptions.syscall_groups, locator)
    families = unit.all("RestrictAddressFamilies")
    if families:
        locator.note(Section.NETWORK, "", families[0].location)
    return Subject(
        name=name,
        file=file,
        kind=SubjectKind.SYSTEMD_UNIT,
        locator=locator,
        seccomp=seccomp,
        capabilities=_capabilities(unit, locator),
        files=_files(unit, locator, passed),
        network=NetworkFacet(rules=None, families=address_families(unit)),
        not_checked=tuple(sorted([*passed, *_widening(unit)])),
    )


def _capabilities(unit: Unit, locator: WordLocator) -> frozenset[Capability]:
    """What a process of the unit may come to hold."""
    bounding = _set(unit, "CapabilityBoundingSet", frozenset(Capability), locator)
    for key, names in _DROPPED_BY.items():
        if unit.switch(key):
            bounding -= {Capability[name] for name in names}
    user = unit.last("User")
    dynamic = unit.switch("DynamicUser")
    is_root = not dynamic and (user is None or user.value in ("root", "0"))
    if is_root or not (dynamic or unit.switch("NoNewPrivileges")):
        # Root holds the whole bounding set; anybody else may still execute a set-user-id program.
        return bounding
    return bounding & _set(unit, "AmbientCapabilities", frozenset(), locator)


def _set(unit: Unit, key: str, unset: frozenset[Capability], locator: WordLocator) -> frozenset[Capability]:
    if not any(each.key == key for each in unit.assignments):
        return unset
    found: frozenset[Capability] | None = None
    # As systemd merges: an empty assignment gives the empty set, a first one with ~ starts from everything.
    for each in (each for each in unit.assignments if each.key == key):
        locator.note(Section.CAPABILITY, "", each.location)
        if not each.value:
            found = frozenset()
            continue
        inverted = each.is_inverted
        named = set()
        for word in each.names():
            try:
                capability = Capability.parse(word)
            except UsageError as error:
                raise DocumentError(str(each.location), f"{key}: {error.message}", hint=error.hint) from None
            locator.note(Section.CAPABILITY, capability.name, each.location)
            named.add(capability)
        if found is None:
            found = frozenset(Capability) if inverted else frozenset()
        found = found - named if inverted else found | named
    return found if found is not None else unset


def _files(unit: Unit, locator: WordLocator, passed: list[NotChecked]) -> tuple[FileGrant, ...]:
    protect = unit.last("ProtectSystem")
    if protect is None or protect.value != "strict":
        if protect is not None:
            locator.note(Section.FILE, "", protect.location)
        return (FileGrant(pattern=PathPattern.parse("/**"), operations=_EVERYTHING, text="/**"),)
    locator.note(Section.FILE, "", protect.location)
    grants = {"/**": _LOOKING}
    for tree in ("/dev", "/proc", "/sys"):
        grants[f"{tree}/**"] = _EVERYTHING
    if unit.switch("PrivateTmp"):
        grants |= {"/tmp/**": _EVERYTHING, "/var/tmp/**": _EVERYTHING}
    for path, location in _writable(unit):
        try:
            pattern = PathPattern.literal(path.encode()).text
        except ValueError as error:
            passed.append(NotChecked(location=location, text=f"a writable path is not understood: {error}"))
            continue
        for text in (pattern, f"{pattern.rstrip('/')}/**"):
            grants[text] = _EVERYTHING
            locator.note(Section.FILE, text, location)
    return tuple(
        sorted(
            FileGrant(pattern=PathPattern.parse(text), operations=found, text=text) for text, found in grants.items()
        )
    )


def _writable(unit: Unit) -> Iterator[tuple[str, Location]]:
    for each in unit.all("ReadWritePaths"):
        for word in each.words():
            path = word.lstrip("-+")
            yield (path.rstrip("/") or "/"), each.location
    for key, parent in _DIRECTORIES.items():
        for each in unit.all(key):
            for word in each.words():
                yield f"{parent}/{word.partition(':')[0].rstrip('/')}", each.location


def _widening(unit: Unit) -> Iterator[NotChecked]:
    for each in unit.assignments:
        if each.key in _WIDENING and each.value:
            yield NotChecked(location=each.location, text=f"{each.key}= may widen what the unit can reach")
        elif each.key in _COMMANDS and each.value.lstrip("@-:")[:1] in ("+", "!") and "!!" not in each.value[:4]:
            text = f"{each.key}= starts a command with more rights than the unit's settings leave: {each.value[:60]!r}"
            yield NotChecked(location=each.location, text=text)
