"""Files on disk: strict, versioned documents.

Unknown fields, wrong types, duplicate keys and newer versions are refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from harden.errors import DocumentError

__all__ = ["encode_json", "parse_json", "parse_toml", "schema"]

T = TypeVar("T", bound=msgspec.Struct)

_PLACED: Final = re.compile(r"(.*) - at (`key` in )?`([^`]*)`", re.DOTALL)
_NO_NAME: Final = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_FORMAT: Final = re.compile(r"(harden-[a-z]+)/([1-9][0-9]*)")


def parse_json(data: bytes, type_: type[T], *, format: str, file: str) -> T:
    """The value of type `type_` in the JSON text `data`; DocumentError names `file` and the place inside it."""
    try:
        raw = json.loads(data, object_pairs_hook=_without_duplicates)
    except _DuplicateKey as error:
        raise DocumentError(file, f"key {error.key!r} appears twice in one object") from None
    except RecursionError:
        raise DocumentError(file, "objects are nested too deeply") from None
    except UnicodeDecodeError as error:
        raise DocumentError(file, f"not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise DocumentError(file, f"not JSON: {error}") from None
    return _convert(raw, type_, format=format, file=file)


def parse_toml(data: bytes, type_: type[T], *, format: str, file: str) -> T:
    """The value of type `type_` in the TOML text `data`; DocumentError names `file` and the place inside it."""
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DocumentError(file, f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise DocumentError(file, "tables are nested too deeply") from None
    except ValueError as error:
        # Also a number with more digits than Python converts, which is no TOMLDecodeError.
        raise DocumentError(file, f"not TOML: {error}") from None
    return _convert(raw, type_, format=format, file=file)


def encode_json(value: msgspec.Struct) -> bytes:
    """Canonical, indented JSON with a final newline: the same value gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1) + b"\n"


def schema(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document type."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(type_)}


def _convert(raw: Any, type_: type[T], *, format: str, file: str) -> T:
    _check_format(raw, format=format, file=file)
    try:
        return msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), type_, file) from None
    except ValueError as error:
        raise DocumentError(file, str(error)) from None


def _refusal(said: str, type_: type[msgspec.Struct], file: str) -> DocumentError:
    """What msgspec says, with the place in front of it. Of names that are none of an enumeration it only says so."""
    match = _PLACED.fullmatch(said)
    problem, in_key, where = match.groups() if match else (said, None, None)
    unknown = _NO_NAME.fullmatch(problem)
    if unknown is None or where is None:
        return DocumentError(file, f"one of its keys: {problem}" if in_key else problem, where=where)
    from harden.model.accepted import accepted_names

    names = accepted_names(type_, where, key=in_key is not None)
    sentence = f"{'the key ' if in_key else ''}{unknown[1]} is none of the names that can stand here"
    return DocumentError(file, sentence, where=where, hint=f"one of {', '.join(names)}" if names else None)


def _check_format(raw: Any, *, format: str, file: str) -> None:
    found = raw.get("format") if isinstance(raw, dict) else None
    if not isinstance(found, str):
        raise DocumentError(file, f"has no `format`; expected {format!r}", where="$.format")
    if found == format:
        return
    ours, theirs = _FORMAT.fullmatch(format), _FORMAT.fullmatch(found)
    if ours and theirs and ours[1] == theirs[1] and int(theirs[2]) > int(ours[2]):
        raise DocumentError(
            file,
            f"{found!r} is newer than {format!r}, the newest this harden reads",
            where="$.format",
            hint="update harden",
        )
    raise DocumentError(file, f"is {found!r}; expected {format!r}", where="$.format")


class _DuplicateKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise _DuplicateKey(key)
        out[key] = value
    return out
