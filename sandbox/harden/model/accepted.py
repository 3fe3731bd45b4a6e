"""Which names a document may hold at one place: what an error about another one says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import inspect

__all__ = ["accepted_names"]

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[[^\[\]]*\]")
"""Of a place as msgspec writes it: `$.rights.limits`, `$.step[0]`, `$.checks[...]`; a field, or any item."""


def accepted_names(type_: type[msgspec.Struct], where: str, *, key: bool) -> tuple[str, ...]:
    """The names that can stand at `where` in a document of this type, or with `key` as keys there, sorted."""
    found = [inspect.type_info(type_)]
    for step in _STEP.finditer(where.removeprefix("$")):
        found = [inner for outer in found for inner in _inside(outer, step[1])]
    if key:
        found = [each.key_type for outer in found for each in _either(outer) if isinstance(each, inspect.DictType)]
    return tuple(sorted({name for outer in found for each in _either(outer) for name in _names(each)}))


def _either(type_: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(type_, inspect.UnionType):
        for each in type_.types:
            yield from _either(each)
    else:
        yield type_


def _inside(type_: inspect.Type, field: str | None) -> Iterator[inspect.Type]:
    for each in _either(type_):
        if isinstance(each, inspect.StructType):
            yield from (known.type for known in each.fields if known.encode_name == field)
        elif isinstance(each, inspect.DictType):
            yield each.value_type
        elif isinstance(each, inspect.CollectionType):
            yield each.item_type
        elif isinstance(each, inspect.TupleType):
            yield from each.item_types


def _names(type_: inspect.Type) -> Iterator[str]:
    if isinstance(type_, inspect.EnumType):
        yield from (str(member.value) for member in type_.cls)
    elif isinstance(type_, inspect.LiteralType):
        yield from map(str, type_.values)
