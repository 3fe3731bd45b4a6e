"""Call frame information: how a function's caller is found from inside it (DWARF 5, 6.4; .eh_frame in the LSB).

An entry is read where it stands and its program is run up to one address. Entries come from files that anybody may have
made: a program cannot loop, and everything it asks for is checked.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, NamedTuple

from harden.trace.byte_reader import ByteReader, Malformed

__all__ = ["CommonEntry", "FrameEntry", "Row", "Rule", "RuleKind", "parse_entry", "pointer", "row_at"]

_HEAD: Final = 512
"""Bytes that are read of an entry at first: nearly all are shorter."""
_LONGEST: Final = 1 << 16
_REGISTERS: Final = 128
_PC_RELATIVE: Final = 0x10
_OMITTED: Final = 0xFF
_FORMATS: Final = {
    0: (8, False),
    2: (2, False),
    3: (4, False),
    4: (8, False),
    10: (2, True),
    11: (4, True),
    12: (8, True),
}
"""DW_EH_PE_*: bytes, and whether signed."""

Read = Callable[[int, int], bytes]
"""Up to so many bytes at an address."""


class RuleKind(enum.Enum):
    """Where a register of the caller is."""

    UNDEFINED = enum.auto()
    SAME = enum.auto()
    OFFSET = enum.auto()
    """In memory, so far from the frame's address."""
    VALUE_OFFSET = enum.auto()
    """It is the frame's address and so much."""
    REGISTER = enum.auto()
    EXPRESSION = enum.auto()
    """In memory, where the expression says."""
    VALUE_EXPRESSION = enum.auto()


class Rule(NamedTuple):
    """One register's rule."""

    kind: RuleKind
    value: int = 0
    expression: bytes = b""


class Row(NamedTuple):
    """The frame's address (a register and an offset, or an expression), and the caller's registers."""

    register: int
    offset: int
    expression: bytes | None
    rules: dict[int, Rule]
    return_register: int
    is_signal: bool
    """The frame was made by the kernel to deliver a signal: its caller stands at the next instruction, not behind a
    call."""


class CommonEntry(NamedTuple):
    """What many entries share."""

    code_factor: int
    data_factor: int
    return_register: int
    encoding: int
    is_augmented: bool
    is_signal: bool
    program: bytes


class FrameEntry(NamedTuple):
    """A function's entry; its program is for `size` bytes of code from `start` on."""

    common: CommonEntry
    start: int
    size: int
    program: bytes


def pointer(reader: ByteReader, encoding: int, address: int) -> int:
    """An encoded pointer; `address` is that of the reader's first byte."""
    at = address + reader.position
    layout = _FORMATS.get(encoding & 0x0F)
    if layout is None or encoding & 0xE0 or encoding & 0x70 not in (0, _PC_RELATIVE):
        raise Malformed(f"a pointer encoded as {encoding:#x}")
    value = reader.fixed(layout[0], signed=layout[1])
    return (value + at if encoding & _PC_RELATIVE else value) & ((1 << 64) - 1)


def _entry(read: Read, address: int) -> ByteReader:
    """The whole entry at `address`, read up to behind its length."""
    data = read(address, _HEAD)
    size = ByteReader(data).fixed(4) + 4
    if not 8 <= size <= _LONGEST:
        raise Malformed(f"an entry of {size} bytes")
    if size > len(data):
        data = read(address, size)
    if len(data) < size:
        raise Malformed("an entry that is cut off")
    return ByteReader(data[:size], 4)


def parse_entry(read: Read, address: int, common_entries: dict[int, CommonEntry]) -> FrameEntry:
    """The entry of a function at `address`; Malformed if it is anything else.

    `common_entries` keeps those of the file by their addresses.
    """
    reader = _entry(read, address)
    back = reader.fixed(4)
    if not back:
        raise Malformed("not a function's entry")
    at = address + 4 - back
    common = common_entries.get(at) or common_entries.setdefault(at, _parse_common(read, at))
    start = pointer(reader, common.encoding, address)
    size = pointer(reader, common.encoding & 0x0F, address)
    if common.is_augmented:
        reader.take(reader.unsigned())
    return FrameEntry(common, start, size, reader.rest())


def _parse_common(read: Read, address: int) -> CommonEntry:
    reader = _entry(read, address)
    if reader.fixed(4):
        raise Malformed("not a common entry")
    version = reader.fixed(1)
    augmentation = reader.text()
    if version not in (1, 3) or augmentation.strip(b"zLPRSB"):
        raise Malformed("a common entry of an unknown kind")
    code_factor, data_factor = reader.unsigned(), reader.signed()
    return_register = reader.fixed(1) if version == 1 else reader.unsigned()
    encoding = 0
    is_augmented = augmentation.startswith(b"z")
    if is_augmented:
        data = ByteReader(reader.take(reader.unsigned()))
        for letter in augmentation[1:]:
            if letter in b"LR":
                given = data.fixed(1)
                encoding = given if letter == ord("R") else encoding
            elif letter == ord("P"):
                pointer(data, data.fixed(1) & 0x0F, 0)
    elif augmentation:
        raise Malformed("an augmentation without a size")
    is_signal = b"S" in augmentation
    return CommonEntry(code_factor, data_factor, return_register, encoding, is_augmented, is_signal, reader.rest())


def row_at(entry: FrameEntry, address: int) -> Row:
    """How the caller is found from the instruction at `address`; Malformed when the entry does not say."""
    machine = _Machine(entry)
    machine.run(entry.common.program, None)
    machine.initial = dict(machine.rules)
    machine.run(entry.program, address)
    if machine.expression is None and machine.register < 0:
        raise Malformed("a frame without an address")
    common = entry.common
    return Row(
        machine.register, machine.offset, machine.expression, machine.rules, common.return_register, common.is_signal
    )


class _Machine:
    """The state of a program of call frame instructions."""

    def __init__(self, entry: FrameEntry) -> None:
        self.common = entry.common
        self.location = entry.start
        self.register = -1
        self.offset = 0
        self.expression: bytes | None = None
        self.rules: dict[int, Rule] = {}
        self.initial: dict[int, Rule] = {}
        self.remembered: list[tuple[int, int, bytes | None, dict[int, Rule]]] = []

    def run(self, program: bytes, until: int | None) -> None:
        """Run up to the row that holds at address `until`."""
        reader = ByteReader(program)
        while reader:
            code = reader.fixed(1)
            high, low = code & 0xC0, code & 0x3F
            if high == 0x40 or code in _ADVANCES:
                self.location += (low if high else reader.fixed(_ADVANCES[code])) * self.common.code_factor
                if until is not None and self.location > until:
                    return
            elif high == 0x80:
                self.rule(low, Rule(RuleKind.OFFSET, reader.unsigned() * self.common.data_factor))
            elif high:
                self.restore(low)
            elif code in _INSTRUCTIONS:
                _INSTRUCTIONS[code](self, reader)
            else:
                raise Malformed(f"the call frame instruction {code:#x}")

    def rule(self, register: int, rule: Rule) -> None:
        if register >= _REGISTERS:
            raise Malformed(f"register {register}")
        self.rules[register] = rule

    def restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)

    def frame(self, register: int, offset: int) -> None:
        self.register, self.offset, self.expression = register, offset, None

    def remember(self) -> None:
        self.remembered.append((self.register, self.offset, self.expression, dict(self.rules)))

    def recall(self) -> None:
        if not self.remembered:
            raise Malformed("a state that was never kept")
        self.register, self.offset, self.expression, self.rules = self.remembered.pop()

    def frame_expression(self, expression: bytes) -> None:
        self.register, self.expression = -1, expression


def _offset(kind: RuleKind, *, signed: bool) -> Callable[[_Machine, ByteReader], None]:
    def step(machine: _Machine, reader: ByteReader) -> None:
        register = reader.unsigned()
        factored = reader.signed() if signed else reader.unsigned()
        machine.rule(register, Rule(kind, factored * machine.common.data_factor))

    return step


def _plain(kind: RuleKind) -> Callable[[_Machine, ByteReader], None]:
    return lambda machine, reader: machine.rule(reader.unsigned(), Rule(kind))


def _expression(kind: RuleKind) -> Callable[[_Machine, ByteReader], None]:
    return lambda machine, reader: machine.rule(
        reader.unsigned(), Rule(kind, expression=reader.take(reader.unsigned()))
    )


def _skip(_machine: _Machine, reader: ByteReader) -> None:
    reader.unsigned()


_ADVANCES: Final = {0x02: 1, 0x03: 2, 0x04: 4}
"""DW_CFA_advance_loc1, 2 and 4: bytes of the distance."""
_INSTRUCTIONS: Final[dict[int, Callable[[_Machine, ByteReader], None]]] = {
    0x00: lambda machine, reader: None,
    0x05: _offset(RuleKind.OFFSET, signed=False),
    0x06: lambda machine, reader: machine.restore(reader.unsigned()),
    0x07: _plain(RuleKind.UNDEFINED),
    0x08: _plain(RuleKind.SAME),
    0x09: lambda machine, reader: machine.rule(reader.unsigned(), Rule(RuleKind.REGISTER, reader.unsigned())),
    0x0A: lambda machine, reader: machine.remember(),
    0x0B: lambda machine, reader: machine.recall(),
    0x0C: lambda machine, reader: machine.frame(reader.unsigned(), reader.unsigned()),
    0x0D: lambda machine, reader: machine.frame(reader.unsigned(), machine.offset),
    0x0E: lambda machine, reader: machine.frame(machine.register, reader.unsigned()),
    0x0F: lambda machine, reader: machine.frame_expression(reader.take(reader.unsigned())),
    0x10: _expression(RuleKind.EXPRESSION),
    0x11: _offset(RuleKind.OFFSET, signed=True),
    0x12: lambda machine, reader: machine.frame(reader.unsigned(), reader.signed() * machine.common.data_factor),
    0x13: lambda machine, reader: machine.frame(machine.register, reader.signed() * machine.common.data_factor),
    0x14: _offset(RuleKind.VALUE_OFFSET, signed=False),
    0x15: _offset(RuleKind.VALUE_OFFSET, signed=True),
    0x16: _expression(RuleKind.VALUE_EXPRESSION),
    0x2E: _skip,
}
"""DW_CFA_* without the three that hold a register in themselves. 0x2E (GNU_args_size) says nothing of the frame."""
