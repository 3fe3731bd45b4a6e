"""The abstractions and tunables of a host's AppArmor, read from their texts: what each abstraction grants.

Source: apparmor.d(5), "Include mechanism", "Variables" and "Access modes".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from harden.errors import DocumentError
from harden.model.apparmor_text import Statement, StatementKind, statements, words

__all__ = ["TUNABLES", "Abstraction", "GrantedFile", "Library", "parse_library"]

TUNABLES: Final = "tunables/global"
"""What a profile includes to have the variables that abstractions use."""
_FOLDER: Final = "abstractions/"
_DEEPEST: Final = 16
_NAME: Final = re.compile(r"<([^<>]+)>|\"?([^\"\s]+)\"?")
_PATH: Final = re.compile(r"[/@{]")
_PERMISSIONS: Final = re.compile(r"[rwaklm]*(?:ix)?[rwaklm]*")
_IF_EXISTS: Final = re.compile(r"#?include\s+if\s+exists\s")


class GrantedFile(msgspec.Struct, frozen=True, order=True):
    """A file rule; `path` is a glob of AppArmor's, with variables."""

    path: str
    permissions: str
    owner: bool = False

    def __str__(self) -> str:
        return f"{'owner ' if self.owner else ''}{self.path} {self.permissions}"


class Abstraction(msgspec.Struct, frozen=True):
    """What including `name` grants, with all that it includes itself."""

    name: str
    files: tuple[GrantedFile, ...]
    others: tuple[str, ...]
    """Rules of every other kind, as they are written."""


class Library(msgspec.Struct, frozen=True):
    """What a host's AppArmor has, as far as it can be used: see `parse_library`."""

    variables: Mapping[str, tuple[str, ...]]
    """By name, such as `@{run}`."""
    abstractions: tuple[Abstraction, ...]
    aliases: tuple[str, ...] = ()
    """`alias A -> B` rules, which come with the tunables and grant more for each rule on A."""


class _Text(msgspec.Struct, frozen=True):
    """A text that is read whole; places are offsets."""

    text: str
    file: str

    def problem(self, offset: int, problem: str, *, hint: str | None = None) -> DocumentError:
        return DocumentError(f"{self.file}: byte {offset}", problem, hint=hint)


class _Unusable(Exception):
    """An abstraction has what would refuse something, or what is not understood."""


def parse_library(texts: Mapping[str, str]) -> Library:
    """The usable part of `texts`, by their names below /etc/apparmor.d, such as `abstractions/base`.

    An abstraction is left out when including it could refuse what a profile grants (`deny`), start a program in another
    way (any x but ix), holds profiles of its own, or does not parse. Raises DocumentError for tunables
    that are not there or do not parse.
    """
    variables: dict[str, tuple[str, ...]] = {}
    aliases: list[str] = []
    _tunables(texts, TUNABLES, variables, aliases, 0)
    found = []
    for name in sorted(texts):
        if not name.startswith(_FOLDER) or "/" in name.removeprefix(_FOLDER):
            continue
        files: set[GrantedFile] = set()
        others: dict[str, None] = {}
        try:
            for rule in _rules(texts, name, 0):
                if isinstance(rule, GrantedFile):
                    files.add(rule)
                else:
                    others[rule] = None
        except (_Unusable, DocumentError):
            continue
        found.append(Abstraction(name, tuple(sorted(files)), tuple(others)))
    return Library(variables, tuple(found), tuple(aliases))


def _tunables(
    texts: Mapping[str, str], name: str, variables: dict[str, tuple[str, ...]], aliases: list[str], depth: int
) -> None:
    if depth > _DEEPEST or name not in texts:
        raise DocumentError(name, "is not there" if name not in texts else "includes itself")
    for statement in statements(_Text(texts[name], name)):
        match statement.kind:
            case StatementKind.INCLUDE:
                for each in _included(texts, texts[name], statement):
                    _tunables(texts, each, variables, aliases, depth + 1)
            case StatementKind.VARIABLE:
                left, _, values = statement.text.replace("+=", "=", 1).partition("=")
                variables[left.strip()] = (*variables.get(left.strip(), ()), *words(values))
            case StatementKind.RULE if statement.text.startswith("alias"):
                aliases.append(" ".join(statement.text.split()))


def _rules(texts: Mapping[str, str], name: str, depth: int) -> Iterator[GrantedFile | str]:
    if depth > _DEEPEST or name not in texts:
        raise _Unusable
    for statement in statements(_Text(texts[name], name)):
        match statement.kind:
            case StatementKind.INCLUDE:
                for each in _included(texts, texts[name], statement):
                    yield from _rules(texts, each, depth + 1)
            case StatementKind.RULE:
                yield from _rule(" ".join(statement.text.split()))
            case _:
                raise _Unusable


def _included(texts: Mapping[str, str], including: str, statement: Statement) -> Iterator[str]:
    """The names of one file, or of all in one folder; a name that is not there is given, unless it need not be."""
    match = _NAME.match(statement.text)
    name = (match[1] or match[2]) if match else statement.text
    inside = sorted(each for each in texts if each.rpartition("/")[0] == name)
    if inside:
        yield from inside
    elif name in texts or not _IF_EXISTS.match(including, statement.offset):
        yield name


def _rule(text: str) -> Iterator[GrantedFile | str]:
    found = list(words(text))
    if found[0] == "abi":
        return
    owner = False
    while found and found[0] in ("audit", "allow", "owner", "deny", "file"):
        qualifier = found.pop(0)
        if qualifier == "deny":
            raise _Unusable
        owner |= qualifier == "owner"
    match found:
        case [path, permissions] if _PATH.match(path):
            pass
        case [permissions, path] if _PATH.match(path):
            pass
        case [path, *_] if _PATH.match(path) or not path:
            raise _Unusable
        case _:
            yield text
            return
    if not _PERMISSIONS.fullmatch(permissions):
        raise _Unusable
    yield GrantedFile(path, permissions, owner)
