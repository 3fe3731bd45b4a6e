"""Rules as NAME.local.toml takes them, and edits of that file that only ever insert text: what a person wrote stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harden.errors import DocumentError
from harden.model.document import parse_toml
from harden.model.local_merge import join_rights
from harden.model.profile import LOCAL_FORMAT, Local, LocalRights, parse_file_rights, render_file_rights
from harden.render.toml_text import toml_key, toml_value

__all__ = ["insert_rights", "render_rights"]

_EMPTY: Final = f'format = "{LOCAL_FORMAT}"\n'

Place = tuple[str, ...]


def render_rights(table: str, rights: LocalRights) -> tuple[str, ...]:
    """One line for each rule, each complete by itself: `add.files."/etc/app.conf" = "read"`."""
    return tuple(_line((table, *place), value) for place, value in _entries(rights))


def insert_rights(text: str, table: str, new: LocalRights, *, file: str) -> str:
    """`text` with `new` in its `[table]`: every byte that was there is still there, in order.

    Raises DocumentError when `text` is no such file, or is written so that no insertion gives just this change; the
    hint holds the lines to add by hand.
    """
    edited = text or _EMPTY
    have: LocalRights = getattr(_parse(edited, file), table)
    # Backwards: each line goes just below the header, above those that came before it.
    for place, value in reversed(tuple(_entries(_missing(have, new)))):
        wanted = _canonical(_with(_parse(edited, file), table, place, value))
        candidates = (
            edited[:at] + insertion + edited[at:] for at, insertion in _insertions(edited, table, place, value)
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
    rights = msgspec.convert(_nested(place, value), LocalRights)
    changed: Local = msgspec.structs.replace(local, **{table: join_rights(getattr(local, table), rights)})
    return changed


def _nested(place: Place, value: Any) -> Any:
    return {place[0]: _nested(place[1:], value)} if place else value


def _canonical(local: Local) -> Local:
    """Order and repetition in lists mean nothing."""
    tables = {name: join_rights(LocalRights(), getattr(local, name)) for name in ("add", "refined", "remove")}
    changed: Local = msgspec.structs.replace(local, **tables)
    return changed


def _missing(have: LocalRights, new: LocalRights) -> LocalRights:
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
    return LocalRights(
        syscalls=tuple(name for name in new.syscalls if name not in have.syscalls),
        arguments={name: left for name, left in rows.items() if left},
        capabilities=tuple(name for name in new.capabilities if name not in have.capabilities),
        files=files,
        network=tuple(rule for rule in new.network if rule not in have.network),
    )


def _entries(rights: LocalRights) -> Iterator[tuple[Place, Any]]:
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


def _line(place: Place, value: Any) -> str:
    return f"{'.'.join(map(toml_key, place))} = {toml_value(value)}"


def _insertions(text: str, table: str, place: Place, value: Any) -> Iterator[tuple[int, str]]:
    """Where to insert what: into a value, below a header, as a table at the end. Reading tells which fits."""
    key = re.escape(toml_key(place[-1]))
    inside = f"{value} " if isinstance(value, str) else "".join(f"{toml_value(item)}, " for item in value)
    opening = '"' if isinstance(value, str) else r"\["
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
