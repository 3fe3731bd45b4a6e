"""An AppArmor profile text as a subject (apparmor.d(5)): file, capability and network rules.

All profiles of a file count together. Rules of other kinds, included files and anything not understood are listed as
not checked. A `deny` that is narrower than a grant is left out, so that no check sees less than the profile grants.
"""

from __future__ import annotations

import re
from typing import Final

from harden.check.foreign.apparmor_glob import TooWide, patterns
from harden.check.foreign.source import Source, WordLocator
from harden.check.subject import FileGrant, NetworkFacet, NotChecked, Section, Subject, SubjectKind
from harden.errors import DocumentError, UsageError
from harden.model.apparmor_text import Statement, StatementKind, statements, words
from harden.model.capability import Capability
from harden.model.path_pattern import PathPattern
from harden.model.recording import FileOperation
from harden.model.syscall_argument_names import ADDRESS_FAMILIES

__all__ = ["is_apparmor", "read_apparmor"]

_HEADER: Final = re.compile(r"(?m)^[ \t]*(?:(?:profile|hat)[ \t]+\S|\^\S|\"?/)[^\n]*\{[ \t]*(?:#.*)?$")
_QUALIFIERS: Final = frozenset({"audit", "allow", "deny", "owner", "quiet"})
_OTHER_RULES: Final = frozenset(
    {"ptrace", "signal", "dbus", "mount", "remount", "umount", "pivot_root", "change_profile", "userns", "io_uring"}
    | {"mqueue", "link", "set", "unix", "alias", "abi"}
)
_NOT_ENFORCING: Final = frozenset({"complain", "unconfined", "default_allow", "prompt"})
_FLAGS: Final = re.compile(r"flags\s*=\s*\(([^)]*)\)")
_PERMISSIONS: Final = re.compile(r"(?=.)([rwaklm]*)((?:[pc][iu]?|[iu])?x)?([rwaklm]*)", re.IGNORECASE)
_CREATING: Final = frozenset(FileOperation) - {
    *(FileOperation.STAT, FileOperation.LIST, FileOperation.READ, FileOperation.APPEND),
    *(FileOperation.EXEC, FileOperation.MAP, FileOperation.LOCK),
}
_GRANTS: Final = {
    "r": frozenset({FileOperation.READ, FileOperation.LIST, FileOperation.STAT}),
    "w": _CREATING | {FileOperation.APPEND},
    "a": frozenset({FileOperation.APPEND}),
    "m": frozenset({FileOperation.MAP}),
    "k": frozenset({FileOperation.LOCK}),
    "l": frozenset({FileOperation.CREATE}),
    "x": frozenset({FileOperation.EXEC}),
}
_MOST_COMPARISONS: Final = 200_000
"""Of denied with granted paths; beyond that no grant is taken away, so that the profile counts as granting more."""
_EVERYTHING: Final = frozenset(FileOperation)
_FAMILIES: Final = {name.removeprefix("AF_").lower(): name for name in ADDRESS_FAMILIES.values()}


def is_apparmor(text: str) -> bool:
    """Whether the text has a profile header of AppArmor's."""
    return _HEADER.search(text) is not None


def read_apparmor(data: bytes, file: str, name: str) -> Subject:
    """The subject of one profile text; DocumentError with line and column for what is no profile."""
    source = Source(data, file)
    reader = _Reader(source)
    for statement in statements(source):
        reader.take(statement)
    if not reader.profiles:
        raise DocumentError(file, "has no profile", hint="an AppArmor profile begins with `profile NAME {`")
    return reader.subject(name)


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._locator = WordLocator(source.file)
        self._variables: dict[str, tuple[str, ...]] = {}
        self._files: dict[str, frozenset[FileOperation]] = {}
        self._denied_files: list[tuple[PathPattern, frozenset[FileOperation]]] = []
        self._capabilities: set[Capability] = set()
        self._denied_capabilities: set[Capability] = set()
        self._families: set[str] = set()
        self._passed: list[NotChecked] = []
        self._open = False
        self.profiles = 0

    def take(self, statement: Statement) -> None:
        """One more statement."""
        match statement.kind:
            case StatementKind.OPEN:
                self._header(statement)
            case StatementKind.INCLUDE:
                self._pass(statement, f"included rules are not read: {statement.text}")
            case StatementKind.VARIABLE:
                name, _, values = statement.text.replace("+=", "=", 1).partition("=")
                self._variables[name.strip()] = (*self._variables.get(name.strip(), ()), *words(values))
            case StatementKind.RULE:
                self._rule(statement)
            case StatementKind.CLOSE:
                pass

    def subject(self, name: str) -> Subject:
        """Everything read."""
        if not self._open and len(self._denied_files) * len(self._files) <= _MOST_COMPARISONS:
            self._take_away_denied()
        grants = (
            FileGrant(pattern=PathPattern.parse(text), operations=operations, text=text)
            for text, operations in self._files.items()
            if operations
        )
        any_family = self._families >= set(ADDRESS_FAMILIES.values())
        refused = set() if self._open else self._denied_capabilities
        return Subject(
            name=name,
            file=self._source.file,
            kind=SubjectKind.APPARMOR,
            locator=self._locator,
            capabilities=frozenset(self._capabilities - refused),
            files=tuple(sorted(grants)),
            network=NetworkFacet(rules=None, families=None if any_family else frozenset(self._families)),
            not_checked=tuple(sorted(self._passed)),
        )

    def _take_away_denied(self) -> None:
        parsed = {text: PathPattern.parse(text) for text in self._files}
        for denied, operations in self._denied_files:
            for text, pattern in parsed.items():
                if denied.covers(pattern):
                    self._files[text] -= operations

    def _pass(self, statement: Statement, text: str) -> None:
        self._passed.append(self._source.not_checked(statement.offset, text))

    def _header(self, statement: Statement) -> None:
        if words(statement.text)[:1] in (("if",), ("else",)):
            self._pass(statement, "a condition is not evaluated: its rules count as granted")
            return
        self.profiles += 1
        location = self._source.location(statement.offset)
        self._locator.note(Section.DEFAULT, "", location)
        flags = _FLAGS.search(statement.text)
        found = set(re.split(r"[\s,]+", flags[1])) & _NOT_ENFORCING if flags else set()
        if found:
            self._pass(statement, f"the flag {sorted(found)[0]} refuses nothing: everything counts as granted")
            self._open = True
            self._allow_all(statement)

    def _allow_all(self, statement: Statement) -> None:
        self._grant(statement, "/**", _EVERYTHING)
        self._capabilities |= set(Capability)
        self._families |= set(ADDRESS_FAMILIES.values())

    def _rule(self, statement: Statement) -> None:
        found = list(words(statement.text))
        denied = False
        while found and (found[0] in _QUALIFIERS or found[0].startswith("priority=")):
            denied |= found.pop(0) == "deny"
        match found:
            case []:
                raise self._source.problem(statement.offset, "an empty rule")
            case ["all"]:
                if not denied:
                    self._allow_all(statement)
            case ["capability", *names]:
                self._capability(statement, names, denied=denied)
            case ["network", *rest]:
                self._network(statement, rest, denied=denied)
            case ["file"]:
                self._file(statement, "/**", "rwmlkix", denied=denied)
            case [first, *_] if first in _OTHER_RULES:
                self._other(statement, first, denied=denied)
            case ["file", *rest] | rest:
                self._file_rule(statement, list(rest), denied=denied)

    def _other(self, statement: Statement, kind: str, *, denied: bool) -> None:
        if kind == "unix" and not denied:
            self._families.add("AF_UNIX")
        if not denied and kind != "abi":
            self._pass(statement, f"{kind} rules are not checked: {' '.join(statement.text.split())[:80]}")

    def _capability(self, statement: Statement, names: list[str], *, denied: bool) -> None:
        target = self._denied_capabilities if denied else self._capabilities
        if not names:
            target |= set(Capability)
        location = self._source.location(statement.offset)
        self._locator.note(Section.CAPABILITY, "", location)
        for name in names:
            try:
                capability = Capability.parse(name)
            except UsageError as error:
                raise self._source.problem(statement.offset, error.message, hint=error.hint) from None
            target.add(capability)
            if not denied:
                self._locator.note(Section.CAPABILITY, capability.name, location)

    def _network(self, statement: Statement, rest: list[str], *, denied: bool) -> None:
        if denied:
            return
        self._locator.note(Section.NETWORK, "", self._source.location(statement.offset))
        named = [word for word in rest if word in _FAMILIES]
        if not named:
            # Without a family it is for all of them, whatever type or address follows.
            self._families |= set(ADDRESS_FAMILIES.values())
        for word in named[:1]:
            self._families.add(_FAMILIES[word])
            self._locator.note(Section.NETWORK, _FAMILIES[word], self._source.location(statement.offset))

    def _file_rule(self, statement: Statement, found: list[str], *, denied: bool) -> None:
        target = found.index("->") if "->" in found else len(found)
        match found[:target]:
            case [first, second] if _is_path(first):
                self._file(statement, first, second, denied=denied)
            case [first, second] if _is_path(second):
                self._file(statement, second, first, denied=denied)
            case _:
                self._pass(statement, f"a rule is not understood: {' '.join(statement.text.split())[:80]}")

    def _file(self, statement: Statement, path: str, permissions: str, *, denied: bool) -> None:
        match = _PERMISSIONS.fullmatch(permissions)
        if match is None:
            raise self._source.problem(statement.offset, f"{permissions!r} are no file permissions")
        letters = f"{match[1]}{match[3]}".lower() + ("x" if match[2] else "")
        operations = frozenset(operation for letter in letters for operation in _GRANTS[letter])
        try:
            found = patterns(path, self._variables)
        except TooWide as error:
            self._pass(statement, f"{path[:80]!r} is not checked: {error}")
            return
        if denied:
            self._denied_files += [(pattern, operations) for pattern in found]
            return
        for pattern in found:
            self._grant(statement, pattern.text, operations)
        if match[2] and match[2].lower() != "ix":
            where = (
                "without a profile" if match[2].lower().startswith("u") else "under another profile, not checked here"
            )
            self._pass(statement, f"{path[:80]!r} is executed {where}")

    def _grant(self, statement: Statement, text: str, operations: frozenset[FileOperation]) -> None:
        self._files[text] = self._files.get(text, frozenset()) | operations
        self._locator.note(Section.FILE, text, self._source.location(statement.offset))


def _is_path(word: str) -> bool:
    return word.startswith(("/", "@{", "{"))
