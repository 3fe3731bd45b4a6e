"""Rules as NAME.local.toml takes them, and edits of that file that insert text: what a person wrote stays.

The one thing that is replaced is the value of a limit of [refined], which harden wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harden.errors import DocumentError
from harden.model.document import parse_toml
from harden.model.local_merge import join_rights
from harden.model.profile import LOCAL_FORMAT, Local, LocalRemoval, LocalRights, parse_file_rights, render_file_rights
from harden.model.resource_limit import parse_limit
from harden.render.toml_text import toml_key, toml_value

__all__ = ["insert_rights", "render_rights"]

_EMPTY: Final = f'format = "{LOCAL_FORMAT}"\n'

Place = tuple[str, ...]
AnyRights = LocalRights | LocalRemoval


def render_rights(table: str, rights: AnyRights) -> tuple[str, ...]:
    """One line for each rule, each complete by itself: `add.files."/etc/app.conf" = "read"`."""
    return tuple(_line((table, *place), value) for place, value in _entries(rights))


def insert_rights(text: str, table: str, new: AnyRights, *, file: str) -> str:
    """`text` with `new` in its `[table]`: every byte that was there is still there, in order.

    Raises DocumentError when `text` is no such file, or is written so that no insertion gives just this change; the
    hint holds the lines to add by hand.
    """
    edited = text or _EMPTY
    have: AnyRights = getattr(_parse(edited, file), table)
    # Backwards: each line goes just below the header, above those that came before it.
    for place, value in reversed(tuple(_entries(_missing(have, new)))):
        wanted = _canonical(_with(_parse(edited, file), table, place, value))
        candidates = (
            edited[:start] + insertion + edited[end:] for start, end, insertion in _edits(edited, table, place, value)
        )
        fitting = (each for each in candidates if _means(each, wanted, file))
        found = next(fitting, None)
        if found is None:
            raise DocumentError(
                file,
                "cannot be edited without touching what you wrote",
                hint="add by hand: " + "; ".join(render_rights(table, new)),
            )
        edited = found
    return edited


def _parse(text: str, file: str) -> Local:
    return parse_toml(text.encode("utf-8"), Local, format=LOCAL_FORMAT, file=file)


def _means(text: str, wanted: Local, file: str) -> bool:
    try:
        return _canonical(_parse(text, file)) == wanted
    except DocumentError:
        return False


def _with(local: Local, table: str, place: Place, value: Any) -> Local:
    have = getattr(local, table)
    rights = msgspec.convert(_nested(place, value), type(have))
    changed: Local = msgspec.structs.replace(local, **{table: join_rights(have, rights)})
    return changed


def _nested(place: Place, value: Any) -> Any:
    return {place[0]: _nested(place[1:], value)} if place else value


def _canonical(local: Local) -> Local:
    """Order and repetition in lists mean nothing."""
    return msgspec.structs.replace(
        local,
        add=join_rights(LocalRights(), local.add),
        refined=join_rights(LocalRights(), local.refined),
        remove=join_rights(LocalRemoval(), local.remove),
    )


def _missing(have: AnyRights, new: AnyRights) -> AnyRights:
    """What of `new` is not in `have`."""
    files = {}
    for path, text in new.files.items():
        left = parse_file_rights(text) - (parse_file_rights(have.files[path]) if path in have.files else frozenset())
        if left:
            files[path] = render_file_rights(left)
    rows = {
        name: tuple(row for row in all_ if row not in have.arguments.get(name, ()))
        for name, all_ in new.arguments.items()
    }
    return msgspec.structs.replace(
        new,
        syscalls=tuple(name for name in new.syscalls if name not in have.syscalls),
        arguments={name: left for name, left in rows.items() if left},
        capabilities=tuple(name for name in new.capabilities if name not in have.capabilities),
        files=files,
        network=tuple(rule for rule in new.network if rule not in have.network),
        limits=_missing_limits(have, new),
    )


def _missing_limits(have: AnyRights, new: AnyRights) -> object:
    if isinstance(have, LocalRights) and isinstance(new, LocalRights):
        known = {name: parse_limit(name, value) for name, value in have.limits.items()}
        return {name: value for name, value in new.limits.items() if parse_limit(name, value) > known.get(name, 0)}
    return tuple(name for name in new.limits if name not in have.limits)


def _entries(rights: AnyRights) -> Iterator[tuple[Place, Any]]:
    if rights.syscalls:
        yield ("syscalls",), rights.syscalls
    for name, rows in rights.arguments.items():
        yield ("arguments", name), rows
    if rights.capabilities:
        yield ("capabilities",), rights.capabilities
    for path, text in rights.files.items():
        yield ("files", path), text
    if rights.network:
        yield ("network",), rights.network
    if isinstance(rights, LocalRights):
        for name, value in rights.limits.items():
            yield ("limits", name), value
    elif rights.limits:
        yield ("limits",), rights.limits


def _inside(value: Any) -> tuple[str, str]:
    """What to insert into a value that is there, and what such a value begins with."""
    if isinstance(value, (list, tuple)):
        return "".join(f"{toml_value(item)}, " for item in value), r"\["
    return f"{value} ", '"'


def _line(place: Place, value: Any) -> str:
    return f"{'.'.join(map(toml_key, place))} = {toml_value(value)}"


def _edits(text: str, table: str, place: Place, value: Any) -> Iterator[tuple[int, int, str]]:
    """Start and end of what is replaced, and by what; nothing is but the value of a refined limit."""
    if (table, place[0]) == ("refined", "limits"):
        for match in re.finditer(rf"{re.escape(place[-1])}[ \t]*=[ \t]*([^\s,}}#]+)", text):
            yield match.start(1), match.end(1), toml_value(value)
    for at, insertion in _insertions(text, table, place, value):
        yield at, at, insertion


def _insertions(text: str, table: str, place: Place, value: Any) -> Iterator[tuple[int, str]]:
    """Where to insert what: into a value, below a header, as a table at the end. Reading tells which fits."""
    key = re.escape(toml_key(place[-1]))
    inside, opening = _inside(value)
    for match in re.finditer(rf"{key}[ \t]*=[ \t]*{opening}", text):
        yield match.end(), inside
    whole = (table, *place)
    for depth in range(len(whole) - 1, 0, -1):
        name, line = (
            r"[ \t]*\.[ \t]*".join(re.escape(toml_key(part)) for part in whole[:depth]),
            _line(whole[depth:], value),
        )
        for match in re.finditer(rf"^[ \t]*\[[ \t]*{name}[ \t]*\][^\n]*(\n|\Z)", text, re.MULTILINE):
            yield match.end(), f"{line}\n" if match[1] else f"\n{line}\n"
    start = "\n" if text.endswith("\n") else "\n\n"
    for depth in range(1, len(whole)):
        header = ".".join(map(toml_key, whole[:depth]))
        yield len(text), f"{start}[{header}]\n{_line(whole[depth:], value)}\n"
    for match in re.finditer(r"^[ \t]*format[ \t]*=[^\n]*(\n|\Z)", text, re.MULTILINE):
        yield match.end(), f"{_line(whole, value)}\n" if match[1] else f"\n{_line(whole, value)}\n"
