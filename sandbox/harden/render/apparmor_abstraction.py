"""Abstractions and variables in place of a profile's own file rules, and all that they grant beside those.

What an abstraction or a variable stands for is decided by the host that loads the profile. So none is used unless asked
for, and each use is a widening: read from the texts of one host, said against what the profile has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from harden.model.path_pattern import PathPattern
from harden.model.widening import Widening
from harden.render.apparmor_glob import Variables, matches, value_expression
from harden.render.apparmor_library import Abstraction, GrantedFile, Library
from harden.render.apparmor_path import expression
from harden.render.apparmor_rule import FileRule
from harden.render.quoted import Quoted

__all__ = ["Included", "include_abstractions", "with_variables"]

_FEWEST: Final = 2
"""Rules that an abstraction has to replace: for a single one, the rule itself says more."""
_SHOWN: Final = 3
_FOLDERS: Final = ("@{PROC}", "@{sys}", "@{run}", "@{HOME}")
"""Variables for how a path begins."""
_MULTIARCH: Final = "@{multiarch}"
_TRIPLET: Final = re.compile(rb"(?<=/lib/)[a-z0-9_]+-linux-gnu(?=/)")
_AS_VARIABLE: Final = frozenset({"@{pid}", "@{tid}", "@{uid}"})
_NO_REASON: Final = "nothing that was recorded"


class Included(msgspec.Struct, frozen=True):
    """Names of abstractions, the rules that remain beside them, and what is granted more."""

    names: tuple[str, ...]
    rules: tuple[FileRule, ...]
    warnings: tuple[str, ...]


def include_abstractions(rules: Sequence[FileRule], library: Library, others: Iterable[str]) -> Included:
    """The abstractions that replace most for what they grant; `others`: the profile's rules that are not on files."""
    variables = tuple(library.variables.items())
    covered = {
        each.name: {index for index, rule in enumerate(rules) if _covering(each, rule, variables)}
        for each in library.abstractions
        if not _conflicts(each, rules, variables)
    }
    chosen = _chosen(library.abstractions, covered)
    replaced = {index for each in chosen for index in covered[each.name]}
    warnings: list[str] = []
    for each in chosen:
        warnings += _widenings(each, [rules[index] for index in sorted(covered[each.name])], variables, others)
    if chosen:
        warnings += [
            f"{alias}: comes with the tunables, and grants more than is written here" for alias in library.aliases
        ]
    return Included(
        names=tuple(sorted(each.name for each in chosen)),
        rules=tuple(rule for index, rule in enumerate(rules) if index not in replaced),
        warnings=tuple(warnings),
    )


def _covering(abstraction: Abstraction, rule: FileRule, variables: Variables) -> tuple[GrantedFile, ...]:
    """The abstraction's rules that together grant the whole of `rule`; none where they do not."""
    found = tuple(
        each
        for each in abstraction.files
        if (rule.owner or not each.owner) and not rule.target and matches(each.path, variables, rule)
    )
    granted = set("".join(each.permissions for each in found))
    granted |= {"a"} if "w" in granted else set()
    return found if set(rule.permissions) <= granted else ()


def _conflicts(abstraction: Abstraction, rules: Sequence[FileRule], variables: Variables) -> bool:
    """Whether it would start in this profile what has one of its own: the parser refuses two ways to execute a file."""
    return any(
        "x" in each.permissions and matches(each.path, variables, rule)
        for rule in rules
        if rule.target
        for each in abstraction.files
    )


def _chosen(abstractions: Sequence[Abstraction], covered: dict[str, set[int]]) -> list[Abstraction]:
    """Greedily by rules replaced for each rule granted; without those that the others make superfluous."""
    chosen: list[Abstraction] = []
    done: set[int] = set()
    while True:
        left = [each for each in abstractions if len(covered.get(each.name, set()) - done) >= _FEWEST]
        if not left:
            break
        best = max(left, key=lambda each: (len(covered[each.name] - done) / _size(each), -_size(each), each.name))
        chosen.append(best)
        done |= covered[best.name]
    for each in list(chosen):
        others = {index for other in chosen if other is not each for index in covered[other.name]}
        if covered[each.name] <= others:
            chosen.remove(each)
    return chosen


def _size(abstraction: Abstraction) -> int:
    return len(abstraction.files) + len(abstraction.others)


def _widenings(
    abstraction: Abstraction, replaced: list[FileRule], variables: Variables, others: Iterable[str]
) -> list[str]:
    """One line for each rule that stands for a recorded one, and one for all that stand for none."""
    warnings: list[str] = []
    more = [other for other in abstraction.others if other not in set(others)]
    for each in abstraction.files:
        asked = [str(rule) for rule in replaced if matches(each.path, variables, rule)]
        if not asked:
            more.append(str(each))
        elif asked != [str(each)]:
            count = len(asked) - _SHOWN
            shown = ", ".join(asked[:_SHOWN]) + (f" and {count} more" if count > 0 else "")
            warnings.append(str(Widening(asked=shown, granted=str(each), reason=abstraction.name)))
    if more:
        warnings.append(str(Widening(asked=_NO_REASON, granted="; ".join(more), reason=abstraction.name)))
    return warnings


def with_variables(rule: FileRule, library: Library) -> tuple[Quoted, tuple[str, ...]]:
    """The path of `rule` written with the variables that stand for its parts, and what each of them grants more."""
    values = library.variables
    folder, rest = _folder(rule.pattern, library)
    known = frozenset(name for name in _AS_VARIABLE if name in values)
    if folder:
        text = expression(rest, suffix=rule.suffix, variables=known).replace('"/', f'"{folder}/', 1)
    else:
        text = expression(rest, suffix=rule.suffix, variables=known)
    used = [folder] if folder else []
    triplet = _TRIPLET.search(rest.tokens[0]) if isinstance(rest.tokens[0], bytes) else None
    if triplet and _MULTIARCH in values and _stands_for(_MULTIARCH, triplet[0], library):
        text = text.replace(f"/{triplet[0].decode()}/", f"/{_MULTIARCH}/", 1)
        used.append(_MULTIARCH)
    wider = [name for name in used if not _is_exact(name, library)]
    granted = f"{'owner ' if rule.owner else ''}{text} {rule.permissions}"
    warnings = tuple(
        str(Widening(asked=str(rule), granted=granted, reason=f"{name} is {' or '.join(values[name])}"))
        for name in wider
    )
    return Quoted(text), warnings


def _folder(pattern: PathPattern, library: Library) -> tuple[str, PathPattern]:
    """The variable that a path begins with, and the path below it."""
    first = pattern.tokens[0]
    if not isinstance(first, bytes):
        return "", pattern
    for name in _FOLDERS:
        for value in library.variables.get(name, ()):
            begin = re.match(value_expression(value, tuple(library.variables.items())), first.decode("latin-1"))
            if begin and begin.end() and first[begin.end() : begin.end() + 1] == b"/":
                below = (first[begin.end() :], *pattern.tokens[1:])
                if below != (b"/",):
                    return name, PathPattern(text=pattern.text, tokens=below)
    return "", pattern


def _stands_for(name: str, text: bytes, library: Library) -> bool:
    variables = tuple(library.variables.items())
    return any(
        re.fullmatch(value_expression(value, variables), text.decode("latin-1")) for value in library.variables[name]
    )


def _is_exact(name: str, library: Library) -> bool:
    """Whether it stands for one text, so that it grants what that grants."""
    found = library.variables[name]
    return len(found) == 1 and not re.search(r"[@*?\[{]", found[0])
