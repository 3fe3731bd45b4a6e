"""Files that a gate reads: bounded before they are parsed, and every problem with its line and column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from harden.check.finding import Location
from harden.check.location import TomlSource, place_in_message
from harden.errors import DocumentError, HardenError, UnusableInput
from harden.kernel import atomic_file
from harden.model.document import parse_toml
from harden.model.profile import Profile

__all__ = ["MAX_INPUT", "MAX_RULES", "check_rules", "parse_placed", "placed", "read_input"]

T = TypeVar("T", bound=msgspec.Struct)

MAX_INPUT: Final = 2 * 1024 * 1024
"""Bytes of one profile, policy or baseline: a generated profile of a large program has some 100 kB."""
MAX_RULES: Final = 20_000
"""Rights of one profile."""
MAX_PATTERNS: Final = 200
"""File rules with a wildcard: each is compared with every other."""
MAX_WILDCARDS: Final = 8
"""Wildcards of one file rule."""
MAX_PATH: Final = 4096
"""Characters of a path, as PATH_MAX of limits.h."""
_MAX_KEY: Final = 100
"""Parts of one dotted key: a parser's time grows with their square."""
_QUOTED: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')


def read_input(path: Path) -> bytes:
    """The bytes of a file; UnusableInput when it is too large, not there or not a file."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnusableInput(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UnusableInput(f"{str(path)!r}: {error}") from None
    check_size(size, str(path))
    return atomic_file.read(path)


def check_size(size: int, file: str) -> None:
    """UnusableInput for more bytes than are read."""
    if size > MAX_INPUT:
        raise UnusableInput(
            f"{file}: has {size} bytes; at most {MAX_INPUT} are read", hint="split it: nobody can review so much"
        )


def check_rules(profile: Profile, file: str) -> None:
    """UnusableInput for a profile with more rights than are checked."""
    rights = profile.rights
    number = sum(map(len, rights.syscalls.values())) + sum(map(len, rights.capabilities.values()))
    number += sum(map(len, rights.files.values())) + sum(map(len, rights.network.values()))
    number += sum(len(rows) for by_origin in rights.arguments.values() for rows in by_origin.values())
    if number > MAX_RULES:
        raise UnusableInput(f"{file}: has {number} rights; at most {MAX_RULES} are checked")
    patterns = [pattern for pattern, _ in rights.all_files()]
    wild = [sum(isinstance(token, str) for token in pattern.tokens) for pattern in patterns]
    if sum(map(bool, wild)) > MAX_PATTERNS:
        raise UnusableInput(
            f"{file}: has {sum(map(bool, wild))} file rules with wildcards; at most {MAX_PATTERNS} are checked"
        )
    for pattern, wildcards in zip(patterns, wild, strict=True):
        if wildcards > MAX_WILDCARDS or len(pattern.text) > MAX_PATH:
            start = f"{file}: the file rule {pattern.text[:60]}…"
            raise UnusableInput(f"{start} has more than {MAX_WILDCARDS} wildcards or {MAX_PATH} characters")


def parse_placed(data: bytes, type_: type[T], *, format: str, file: str) -> tuple[T, TomlSource]:
    """The TOML document and its source; UnusableInput that begins with file:line:column."""
    check_size(len(data), file)
    text = data.decode("utf-8", "replace")
    source = TomlSource(file, text)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MAX_KEY and _QUOTED.sub("", line).split("#")[0].count(".") > _MAX_KEY:
            raise UnusableInput(f"{file}:{number}:1: a key has more than {_MAX_KEY} parts")
    try:
        return parse_toml(data, type_, format=format, file=file), source
    except DocumentError as error:
        raise placed(error, source) from None


def placed(error: HardenError, source: TomlSource | None) -> UnusableInput:
    """`error` as one line that begins with its place, as compilers write it."""
    message = error.message
    if source is not None and isinstance(error, DocumentError) and error.file == source.file:
        start = f"{error.file}: {error.where}: " if error.where else f"{error.file}: "
        problem = message.removeprefix(start)
        place = place_in_message(problem)
        if place is not None:
            problem, line, column = place
            message = f"{error.file}:{line}:{column}: {problem}" if line else f"{error.file}: {problem} at its end"
        else:
            where = f"{error.where}: " if error.where else ""
            message = f"{_place(source, error.where, problem)}: {where}{problem}"
    return UnusableInput(message, hint=error.hint)


def _place(source: TomlSource, where: str | None, problem: str) -> Location:
    """The line of the word that the problem quotes, where it stands in the table that it is about."""
    tables = re.findall(r"\.([A-Za-z0-9_-]+)", where or "")
    quoted = re.search(r"[`']([^`']+)[`']", problem)
    nearest = source.path(where)
    if quoted is None or "missing" in problem:
        return nearest
    return source.word(quoted[1], inside=tables) or source.word(quoted[1], inside=tables[:-1]) or nearest
