"""Names for the frames of user stacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harden.model.path_text import to_text
from harden.model.stack import Frame, Stack, StackObject, Stacks
from harden.trace.executables import Resolve
from harden.trace.mapped_object import ObjectStore
from harden.trace.stack_records import Owner, StackRecords
from harden.trace.unwind import AddressSpace, Place, unwind

__all__ = ["decode_stacks"]

_ANONYMOUS = "[anonymous]"


def decode_stacks(records: StackRecords, resolve: Resolve | None) -> tuple[Stacks, dict[Owner, int]]:
    """The distinct stacks, in the order in which each was first taken, and the number of the one of each owner.

    `resolve` gives the host file for a path of the sandbox: without it there are no symbols, and few frames.
    """
    numbers: dict[int, int] = {}
    with ObjectStore(resolve) as objects:
        tables = _Tables(objects)
        spaces: dict[int, AddressSpace] = {}
        for taken in sorted(set(records.owners.values()) & records.stacks.keys()):
            raw = records.stacks[taken]
            known = id(raw.mappings)  # the same ones are the same object, and comparing that is sooner done
            if known not in spaces:
                spaces[known] = AddressSpace(raw.mappings, objects)
            unwound = unwind(raw, spaces[known])
            numbers[taken] = tables.stack(
                Stack(
                    frames=tuple(tables.frames(unwound.places)),
                    end=unwound.end,
                    guessed_from=unwound.pointer_from if unwound.pointer_from < len(unwound.places) else None,
                )
            )
        owners = {owner: numbers[taken] for owner, taken in records.owners.items() if taken in numbers}
        return tables.value(records.losses), owners


class _Tables:
    """What is there once, by its number."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._objects: dict[StackObject, int] = {}
        self._frames: dict[Frame, int] = {}
        self._stacks: dict[Stack, int] = {}
        self._places: dict[object, int] = {}

    def value(self, losses: Mapping[str, int]) -> Stacks:
        return Stacks(
            objects=tuple(self._objects),
            frames=tuple(self._frames),
            stacks=tuple(self._stacks),
            missing=dict(sorted(losses.items())),
        )

    def stack(self, stack: Stack) -> int:
        return self._stacks.setdefault(stack, len(self._stacks))

    def frames(self, places: tuple[Place, ...]) -> Iterator[int]:
        for place in places:
            known = (place.mapping.file, place.offset, place.behind)
            if known not in self._places:
                frame = self._frame(place)
                self._places[known] = self._frames.setdefault(frame, len(self._frames))
            yield self._places[known]

    def _frame(self, place: Place) -> Frame:
        file = place.mapping.file
        if file is None:
            return Frame(object=self._object(StackObject(path=_ANONYMOUS)), offset=place.offset + place.behind)
        found = self._store.get(file)
        number = self._object(StackObject(path=to_text(file.path), build_id=found.build_id))
        symbol = found.symbol(place.offset)
        if symbol is None:
            return Frame(object=number, offset=place.offset + place.behind)
        return Frame(object=number, symbol=to_text(symbol.name), offset=symbol.offset + place.behind)

    def _object(self, value: StackObject) -> int:
        return self._objects.setdefault(value, len(self._objects))
