"""Frames of a stack: by the call frame information of the files that its code is in, else by frame pointers.

What a program had on its stack is its own doing; a chain ends where something does not fit, and is bounded.
"""

from __future__ import annotations

import bisect
import struct
from typing import Final, NamedTuple

from harden.model.stack import StackEnd
from harden.trace.byte_reader import Malformed
from harden.trace.call_frame import Row, Rule, RuleKind
from harden.trace.dwarf_expression import evaluate
from harden.trace.mapped_object import ObjectStore
from harden.trace.stack_records import Mapping, RawStack

__all__ = ["DEPTH", "AddressSpace", "Place", "Unwound", "unwind"]

DEPTH: Final = 32
"""Frames that are followed."""
_WORD: Final = struct.Struct("<Q")
_MASK: Final = (1 << 64) - 1
_RBX, _RBP, _RSP, _RIP = 3, 6, 7, 16
"""Numbers of registers in DWARF (x86-64 psABI, figure 3.36). No frame is found by others than these."""
_SAVED: Final = (_RBX, _RBP)


class Place(NamedTuple):
    """Where a frame is: its mapping, and its offset in bytes of the mapped file. It is inside the call that it made."""

    mapping: Mapping
    offset: int
    behind: int
    """Bytes from there to where it goes on: none where a signal interrupted it."""


class Unwound(NamedTuple):
    """Innermost first."""

    places: tuple[Place, ...]
    end: StackEnd
    pointer_from: int
    """The number of the first frame that was found by a frame pointer; beyond the last one if none was."""


class _Memory:
    """The copy of the stack."""

    def __init__(self, raw: RawStack) -> None:
        self._content = raw.content
        self._base = raw.registers.stack
        self._top = self._base + len(raw.content) if raw.reaches_start else -1
        self._last = len(raw.content) - _WORD.size
        self.ran_out = False
        """What was asked for last lies above."""

    def is_top(self, address: int) -> bool:
        """Whether nothing calls the function whose frame ends there."""
        return address == self._top

    def peek(self, address: int) -> int | None:
        """64 bits at an address; None outside the copy."""
        at = address - self._base
        if 0 <= at <= self._last:
            value: int = _WORD.unpack_from(self._content, at)[0]
            return value
        return None

    def load(self, address: int) -> int:
        """The same; Malformed outside the copy."""
        value = self.peek(address)
        if value is None:
            self.ran_out = address >= self._base
            raise Malformed("outside the copy of the stack")
        return value


class AddressSpace:
    """What code is where, in one state of the mappings: many stacks lead through the same calls."""

    def __init__(self, mappings: tuple[Mapping, ...], objects: ObjectStore) -> None:
        self._mappings = mappings
        self._starts = [mapping.start for mapping in mappings]
        self._objects = objects
        self._known: dict[tuple[int, int], tuple[Place, Row | None] | None] = {}

    def find(self, instruction: int, behind: int) -> tuple[Place, Row | None] | None:
        """Where a frame is, and how its caller is found if its file says so; None where no code is."""
        at = instruction, behind
        if at not in self._known:
            place = _place(self._mappings, self._starts, instruction, behind)
            self._known[at] = None if place is None else (place, _row(place, self._objects))
        return self._known[at]


def unwind(raw: RawStack, space: AddressSpace) -> Unwound:
    """The frames of `raw`, which was taken in `space`. Never raises."""
    memory = _Memory(raw)
    registers = {
        _RIP: raw.registers.instruction,
        _RSP: raw.registers.stack,
        _RBP: raw.registers.frame,
        _RBX: raw.registers.base,
    }
    places: list[Place] = []
    pointer_from = DEPTH + 1
    behind = 1
    end = StackEnd.DEPTH
    while len(places) < DEPTH:
        found = space.find(registers.get(_RIP, 0), behind)
        if found is None:
            end = StackEnd.LOST if places else StackEnd.UNKNOWN
            break
        place, row = found
        places.append(place)
        if row is None and memory.is_top(registers[_RSP]):
            end = StackEnd.WHOLE
            break
        try:
            if row is not None:
                caller = _plain_caller(row, registers, memory) or _caller(row, registers, memory)
                if caller is None:
                    end = StackEnd.WHOLE
                    break
                behind = 0 if row.is_signal else 1
            else:
                caller = _by_pointer(registers, memory)
                pointer_from = min(pointer_from, len(places))
                behind = 1
        except Malformed:
            end = StackEnd.COPY if memory.ran_out else StackEnd.LOST
            break
        registers = caller
    return Unwound(tuple(places), end, min(pointer_from, len(places)))


def _place(mappings: tuple[Mapping, ...], starts: list[int], instruction: int, behind: int) -> Place | None:
    address = instruction - behind
    at = bisect.bisect_right(starts, address) - 1
    if at < 0 or address >= mappings[at].end:
        return None
    return Place(mappings[at], address - mappings[at].start + mappings[at].offset, behind)


def _row(place: Place, objects: ObjectStore) -> Row | None:
    if place.mapping.file is None:
        return None
    return objects.get(place.mapping.file).row(place.offset)


def _plain_caller(row: Row, registers: dict[int, int], memory: _Memory) -> dict[int, int] | None:
    """What `_caller` gives for nearly every row, sooner; None for one that is not of the kind."""
    rules = row.rules
    base, back = registers.get(row.register), rules.get(_RIP)
    if base is None or back is None or back.kind is not RuleKind.OFFSET or row.is_signal or _RSP in rules:
        return None
    frame = base + row.offset
    if frame <= registers[_RSP]:
        return None
    caller = {_RSP: frame, _RIP: memory.load(frame + back.value)}
    for number in _SAVED:
        rule = rules.get(number)
        if rule is None:
            if number in registers:
                caller[number] = registers[number]
        elif rule.kind is not RuleKind.OFFSET:
            return None
        elif (found := memory.peek(frame + rule.value)) is not None:
            caller[number] = found
    return caller


def _caller(row: Row, registers: dict[int, int], memory: _Memory) -> dict[int, int] | None:
    """The caller's registers as far as they are known; None when there is no caller."""
    if row.expression is None:
        if row.register not in registers:
            raise Malformed("the frame's register is not known")
        frame = (registers[row.register] + row.offset) & _MASK
    else:
        frame = evaluate(row.expression, registers, memory.load)
    rule = row.rules.get(row.return_register)
    if rule is not None and rule.kind is RuleKind.UNDEFINED:
        return None
    # The stack grows down: a caller's frame is above, or the chain would never end. A signal may change stacks.
    if frame <= registers[_RSP] and not row.is_signal:
        raise Malformed("a caller's frame below its callee's")
    if rule is None:
        raise Malformed("a frame without a return address")
    caller = {_RSP: frame}
    for number in (*_SAVED, _RSP):
        each = row.rules.get(number)
        if each is not None:
            _restore(number, each, frame, registers, memory, caller)
        elif number in registers and number != _RSP:
            caller[number] = registers[number]
    _restore(_RIP, rule, frame, registers, memory, caller)
    return caller


def _restore(
    number: int, rule: Rule, frame: int, registers: dict[int, int], memory: _Memory, caller: dict[int, int]
) -> None:
    """Put a register of the caller into `caller`; a saved one that the copy does not reach stays unknown."""
    match rule.kind:
        case RuleKind.OFFSET:
            address = frame + rule.value & _MASK
            found = memory.load(address) if number in (_RIP, _RSP) else memory.peek(address)
            if found is not None:
                caller[number] = found
        case RuleKind.VALUE_OFFSET:
            caller[number] = frame + rule.value & _MASK
        case RuleKind.EXPRESSION:
            caller[number] = memory.load(evaluate(rule.expression, registers, memory.load, frame))
        case RuleKind.VALUE_EXPRESSION:
            caller[number] = evaluate(rule.expression, registers, memory.load, frame)
        case RuleKind.REGISTER | RuleKind.SAME:
            source = rule.value if rule.kind is RuleKind.REGISTER else number
            if source in registers:
                caller[number] = registers[source]
        case RuleKind.UNDEFINED:
            caller.pop(number, None)


def _by_pointer(registers: dict[int, int], memory: _Memory) -> dict[int, int]:
    """The caller as code with frame pointers keeps it; Malformed where there is none."""
    frame = registers.get(_RBP, 0)
    if frame <= registers[_RSP] - _WORD.size or frame % _WORD.size:
        raise Malformed("no frame pointer")
    outer, back = memory.load(frame), memory.load(frame + _WORD.size)
    return {_RIP: back, _RSP: frame + 2 * _WORD.size, _RBP: outer}
