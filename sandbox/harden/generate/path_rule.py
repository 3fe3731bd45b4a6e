"""File rules: the paths that were used, with names that differ from run to run replaced by named parts.

Only three things are generalised. A process id below /proc becomes `@{pid}` (`@{tid}` below task/). A file without a
name becomes `#@{int}`, as the kernel calls it. And in a name that the program itself made, outside the guarded roots, a
part that looks made up becomes a named part: a random suffix, a UUID, a hash or a number too long for a counter, if the
name was gone again at the end of the run or if others of the same shape were made; any other number only if two runs
disagree on exactly that part. Everything else stays as it was seen: a short number says nothing about what else it
could have been.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from harden.model.guarded_root import ON_ROOT, PRIVATE, is_guarded
from harden.model.need import file_needs
from harden.model.path_pattern import PathPattern
from harden.model.path_text import UNNAMED_FILE, to_text
from harden.model.recording import FileOperation, Run

__all__ = ["PathNames", "file_rules"]

_MADE: Final = frozenset(
    {FileOperation.CREATE, FileOperation.MKDIR, FileOperation.SYMLINK, FileOperation.MKSOCK, FileOperation.MKFIFO,
     FileOperation.MKNOD, FileOperation.LINK}
)  # fmt: skip
_GONE: Final = frozenset({FileOperation.UNLINK, FileOperation.RMDIR})
_UNNAMED: Final = "#@{int}"
_SEEN_KEPT: Final = 16
"""How many of the paths behind a widened rule a profile lists; the recording has them all."""

_PROC: Final = re.compile(rb"(/proc/)([1-9][0-9]{0,6})((?:/task/)?)((?:[1-9][0-9]{0,6})?)(.*)", re.DOTALL)
_SHAPES: Final = (
    ("uuid", re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("hash", re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{32,128}(?![0-9A-Za-z])")),
    ("temp", re.compile(rb"(?<=^tmp)[A-Za-z0-9_]{6,16}$")),
    ("temp", re.compile(rb"(?:(?<![0-9A-Za-z_])|(?<=_))[A-Za-z0-9_]{6,16}(?![0-9A-Za-z_])")),
    ("int", re.compile(rb"(?<![0-9A-Za-z])[0-9]{12,20}(?![0-9A-Za-z])")),
)
_NUMBER: Final = re.compile(rb"(?<![0-9A-Za-z])[0-9]{1,20}(?![0-9A-Za-z])")
_CLASSES: Final = (re.compile(rb"[a-z]"), re.compile(rb"[A-Z]"), re.compile(rb"[0-9]"))


class PathNames:
    """The pattern for every path of a set of runs."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._parts: dict[bytes, str] = {}
        """Literal path of a name that the program made, to the pattern text of its last component."""
        made: dict[tuple[bytes, str], set[bytes]] = defaultdict(set)
        numbered: dict[tuple[bytes, str], list[set[bytes]]] = defaultdict(list)
        gone: set[bytes] = set()
        for run in runs:
            numbers: dict[tuple[bytes, str], set[bytes]] = defaultdict(set)
            for path, operations in file_needs(run).items():
                if operations & _MADE and not is_guarded(path):
                    folder, _, name = path.rpartition(b"/")
                    for shape in _numbers(name):
                        numbers[folder, shape].add(path)
                    shape = _shape(name)
                    if shape and (shape != "@{temp}" or folder in PRIVATE):
                        made[folder, shape].add(path)
                        gone |= {path} if operations & _GONE else set()
            for key, paths in numbers.items():
                numbered[key].append(paths)
        for (_, shape), each_run in sorted(numbered.items(), reverse=True):
            if any(paths != each_run[0] for paths in each_run):
                self._parts.update(dict.fromkeys(set().union(*each_run), shape))
        for (_, shape), paths in made.items():
            if len(paths) > 1 or paths & gone:
                # Where runs disagree on a number alone, the rest of the name is known not to be made up.
                self._parts = dict.fromkeys(paths, shape) | self._parts

    def pattern(self, path: bytes) -> PathPattern:
        """The pattern that stands for `path`; a literal one where nothing is to be generalised."""
        match = _PROC.fullmatch(path)
        if match and (not match[5] or match[5].startswith(b"/")) and (bool(match[3]) == bool(match[4])):
            thread = match[3].decode() + ("@{tid}" if match[4] else "")
            return PathPattern.parse("/proc/@{pid}" + thread + _literal(match[5]))
        return PathPattern.parse("".join(f"/{part}" for part in self._components(path)) or "/")

    def _components(self, path: bytes) -> Iterator[str]:
        prefix = b""
        for name in path.split(b"/")[1:] if path != b"/" else []:
            prefix += b"/" + name
            yield self._parts.get(prefix) or (_UNNAMED if name == UNNAMED_FILE else _literal(name))


def file_rules(
    runs: Sequence[Run], names: PathNames
) -> tuple[dict[str, frozenset[FileOperation]], dict[str, tuple[str, ...]]]:
    """Operations by pattern text, and the paths seen behind each pattern that is wider than one path."""
    rules: dict[str, frozenset[FileOperation]] = defaultdict(frozenset)
    widened: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for path, operations in file_needs(run).items():
            pattern = names.pattern(path)
            allowed = operations & ON_ROOT if path == b"/" else operations
            if not allowed:
                continue
            rules[pattern.text] |= allowed
            if not pattern.is_literal:
                widened[pattern.text].add(to_text(path))
    return dict(sorted(rules.items())), _evidence(widened)


def _evidence(widened: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {pattern: tuple(sorted(paths)[:_SEEN_KEPT]) for pattern, paths in sorted(widened.items())}


def _literal(text: bytes) -> str:
    """`text` as a pattern that matches it alone."""
    return to_text(text).replace("*", "\\x2a").replace("@", "\\x40")


def _shape(name: bytes) -> str:
    """The pattern text of a name with its first made-up part named; empty when no part looks made up."""
    for part, expression in _SHAPES:
        for match in expression.finditer(name):
            if part != "temp" or _looks_random(match[0]):
                return _with_part(name, match, part)
    return ""


def _numbers(name: bytes) -> list[str]:
    """For each number in a name, the pattern text with that one named."""
    return [_with_part(name, match, "int") for match in _NUMBER.finditer(name)]


def _with_part(name: bytes, match: re.Match[bytes], part: str) -> str:
    return f"{_literal(name[: match.start()])}@{{{part}}}{_literal(name[match.end() :])}"


def _looks_random(word: bytes) -> bool:
    """Whether a word changes between small letters, capitals and digits at least twice, as words do not."""
    kinds = [[bool(kind.match(word, at)) for kind in _CLASSES] for at in range(len(word))]
    changes = sum(before != after for before, after in pairwise(kinds))
    return changes >= 2 and b"__" not in word
