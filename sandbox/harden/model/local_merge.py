"""A generated profile with the user's NAME.local.toml applied: removals first, then additions as `manual`, and last
what `harden refine` wrote there as `refined`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn, TypeVar

import msgspec

from harden.errors import DocumentError
from harden.model.origin import Origin
from harden.model.profile import (
    Local,
    LocalRemoval,
    LocalRights,
    Profile,
    Rights,
    parse_file_rights,
    render_file_rights,
)
from harden.model.resource_limit import LimitName, LimitValue, parse_limit
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["join_rights", "merge_local"]

T = TypeVar("T")
L = TypeVar("L", bound=LocalRights | LocalRemoval)

_TABLES: Final = {Origin.MANUAL: "add", Origin.REFINED: "refined"}
_ONLY_BY_HAND: Final = frozenset({"clone3"})
"""Answered with ENOSYS although granted, unless a person has added it: such an addition becomes theirs."""


def merge_local(profile: Profile, local: Local, *, file: str = "") -> Profile:
    """`profile` changed by `local`.

    Raises DocumentError, naming `file`, when a removal matches nothing or an addition is invalid.
    """
    file = file or f"{profile.name}.local.toml"
    try:
        _check(local.add)
        _check(local.refined)
        rights = _remove(profile.rights, local.remove, file)
        rights = _add(rights, local.add, Origin.MANUAL, file)
        rights = _add(rights, local.refined, Origin.REFINED, file)
    except ValueError as error:
        raise DocumentError(file, str(error), where="$.add") from None
    return msgspec.structs.replace(profile, rights=rights, controls={**profile.controls, **local.controls})


def join_rights(one: L, other: L) -> L:
    """Both together, sorted, the larger of two limits; ValueError for file rights that are none."""
    files = dict(one.files)
    for path, text in other.files.items():
        have = parse_file_rights(files[path]) if path in files else frozenset()
        files[path] = render_file_rights(have | parse_file_rights(text))
    arguments = dict(one.arguments)
    for call, rows in other.arguments.items():
        arguments[call] = (*arguments.get(call, ()), *rows)
    return msgspec.structs.replace(
        one,
        syscalls=tuple(sorted({*one.syscalls, *other.syscalls})),
        arguments={call: tuple(sorted(set(arguments[call]))) for call in sorted(arguments)},
        capabilities=tuple(sorted({*one.capabilities, *other.capabilities})),
        files=dict(sorted(files.items())),
        network=tuple(sorted({*one.network, *other.network})),
        limits=_joined_limits(one, other),
    )


def _joined_limits(one: LocalRights | LocalRemoval, other: LocalRights | LocalRemoval) -> object:
    if isinstance(one, LocalRights) and isinstance(other, LocalRights):
        both = sorted((*one.limits.items(), *other.limits.items()), key=lambda item: parse_limit(*item))
        return dict(sorted(dict(both).items()))
    return tuple(sorted({*one.limits, *other.limits}))


def _check(add: LocalRights) -> None:
    for text in add.files.values():
        parse_file_rights(text)


def _refuse(file: str, where: str, problem: str, hint: str) -> NoReturn:
    raise DocumentError(file, problem, where=where, hint=hint)


def _remove(rights: Rights, remove: LocalRemoval, file: str) -> Rights:
    arguments = {name: rows for name, rows in rights.arguments.items() if name not in remove.syscalls}
    return msgspec.structs.replace(
        rights,
        syscalls=_without(rights.syscalls, remove.syscalls, file, "$.remove.syscalls"),
        arguments=_without_arguments(arguments, remove.arguments, file),
        capabilities=_without(rights.capabilities, remove.capabilities, file, "$.remove.capabilities"),
        files=_without_files(rights.files, remove.files, file),
        network=_without(rights.network, remove.network, file, "$.remove.network"),
        limits=_without_limits(rights.limits, remove.limits, file),
    )


def _without(
    table: Mapping[Origin, tuple[T, ...]], gone: tuple[T, ...], file: str, where: str
) -> dict[Origin, tuple[T, ...]]:
    present = {item for items in table.values() for item in items}
    for item in gone:
        if item not in present:
            _refuse(file, where, f"{item!r} is not in the profile", "remove this line: the profile does not grant it")
    kept = {origin: tuple(item for item in items if item not in gone) for origin, items in table.items()}
    return {origin: items for origin, items in kept.items() if items}


def _without_arguments(
    arguments: Mapping[str, dict[Origin, tuple[tuple[str, ...], ...]]],
    remove: Mapping[str, tuple[tuple[str, ...], ...]],
    file: str,
) -> dict[str, dict[Origin, tuple[tuple[str, ...], ...]]]:
    out = dict(arguments)
    for name, rows in remove.items():
        where = f"$.remove.arguments.{name}"
        if name not in out:
            _refuse(file, where, f"the profile has no argument rule for {name!r}", "remove the call itself instead")
        out[name] = _without(out[name], rows, file, where)
        if not out[name]:
            _refuse(file, where, f"nothing is left of {name!r}", f"put {name!r} under remove.syscalls instead")
    return out


def _without_files(
    files: Mapping[Origin, dict[str, str]], remove: Mapping[str, str], file: str
) -> dict[Origin, dict[str, str]]:
    out = {origin: dict(table) for origin, table in files.items()}
    for path, text in remove.items():
        where = f"$.remove.files.{path!r}"
        try:
            gone = parse_file_rights(text)
        except ValueError as error:
            raise DocumentError(file, str(error), where=where) from None
        for table in out.values():
            if path in table:
                have = parse_file_rights(table.pop(path))
                if have - gone:
                    table[path] = render_file_rights(have - gone)
        granted = frozenset().union(*(parse_file_rights(t[path]) for t in files.values() if path in t))
        if gone - granted:
            words = render_file_rights(gone - granted)
            _refuse(file, where, f"{words!r} is not granted on {path!r}", "write the pattern as the profile does")
    return {origin: table for origin, table in out.items() if table}


def _without_limits(
    limits: Mapping[Origin, dict[LimitName, LimitValue]], gone: tuple[LimitName, ...], file: str
) -> dict[Origin, dict[LimitName, LimitValue]]:
    for name in gone:
        if not any(name in table for table in limits.values()):
            _refuse(file, "$.remove.limits", f"{name.value!r} is not limited", "remove this line")
    kept = {origin: {n: v for n, v in table.items() if n not in gone} for origin, table in limits.items()}
    return {origin: table for origin, table in kept.items() if table}


def _with_limits(
    rights: Rights, new: Mapping[LimitName, LimitValue], origin: Origin
) -> dict[Origin, dict[LimitName, LimitValue]]:
    """A person's limits replace what is there; refine only raises them."""
    now = rights.all_limits()
    taken = {
        name: value
        for name, value in new.items()
        if origin is Origin.MANUAL or (name in now and parse_limit(name, value) > now[name])
    }
    kept = {each: {n: v for n, v in table.items() if n not in taken} for each, table in rights.limits.items()}
    return {each: table for each, table in {**kept, origin: {**kept.get(origin, {}), **taken}}.items() if table}


def _add(rights: Rights, add: LocalRights, origin: Origin, file: str) -> Rights:
    table = _TABLES[origin]
    by_hand = _ONLY_BY_HAND.intersection(add.syscalls if origin is Origin.MANUAL else ())
    others = {each: tuple(n for n in names if n not in by_hand) for each, names in rights.syscalls.items()}
    syscalls = _with({each: names for each, names in others.items() if names}, add.syscalls, origin)
    granted = {name for names in syscalls.values() for name in names}
    files = {each: dict(granted_there) for each, granted_there in rights.files.items()}
    for path, text in add.files.items():
        mine = files.setdefault(origin, {})
        have = parse_file_rights(mine[path]) if path in mine else frozenset()
        mine[path] = render_file_rights(have | parse_file_rights(text))
    arguments = dict(rights.arguments)
    for name, rows in add.arguments.items():
        where = f"$.{table}.arguments.{name}"
        if name not in granted:
            _refuse(file, where, f"{name!r} itself is not granted", f"put {name!r} under {table}.syscalls too")
        if name not in ARGUMENT_ROWS:
            _refuse(file, where, f"arguments of {name!r} cannot be ruled on", f"only {', '.join(ARGUMENT_ROWS)}")
        if name not in arguments and name in rights.all_syscalls():
            _refuse(file, where, f"{name!r} is granted with any arguments", "an addition cannot make a right smaller")
        for row in rows:
            parse_values(ARGUMENT_ROWS[name], row)
        arguments[name] = _with(arguments.get(name, {}), rows, origin)
    return msgspec.structs.replace(
        rights,
        syscalls=syscalls,
        arguments=arguments,
        capabilities=_with(rights.capabilities, add.capabilities, origin),
        files={each: dict(sorted(granted_there.items())) for each, granted_there in files.items()},
        network=_with(rights.network, add.network, origin),
        limits=_with_limits(rights, add.limits, origin),
    )


def _with(table: Mapping[Origin, tuple[T, ...]], new: tuple[T, ...], origin: Origin) -> dict[Origin, tuple[T, ...]]:
    present = {item for items in table.values() for item in items}
    added = {item for item in new if item not in present}
    if not added:
        return dict(table)
    return {**table, origin: tuple(sorted({*table.get(origin, ()), *added}))}  # type: ignore[type-var]
