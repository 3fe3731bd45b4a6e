"""Call frame information: the rows that readelf(1) finds, and files that are damaged on purpose."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden.trace.byte_reader import Malformed
from harden.trace.call_frame import Row, RuleKind
from harden.trace.call_frame_table import CallFrameTable
from harden.trace.elf import Elf
from harden.trace.symbol_table import SymbolTable
from tests.conftest import compile_victim

pytestmark = pytest.mark.requires("gcc", "x86_64")

NAMES = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)), "ra")
LIBRARIES = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/bin/true"]
EVERY = 7
"""Of the rows of a big file, one of so many is compared."""


def spend(_size: int) -> None:
    pass


def elf_of(data: bytes) -> Elf:
    return Elf(lambda offset, size: data[offset : offset + size])


@cache
def content(path: str) -> bytes:
    return Path(path).read_bytes()


def rows_of(path: str) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Address, frame and rules of each row, as `readelf --debug-dump=frames-interp` writes them."""
    # It fails for want of the debug information that a stripped file names.
    done = subprocess.run(["readelf", "--debug-dump=frames-interp", path], text=True, capture_output=True, check=False)
    for entry in done.stdout.split("\n\n"):
        lines = entry.strip().splitlines()
        at = next((number for number, line in enumerate(lines) if " FDE " in line), None)
        if at is None or len(lines) < at + 3:
            continue
        columns = lines[at + 1].split()[2:]
        for line in lines[at + 2 :]:
            address, frame, *cells = re.sub(r" \(\w+\)", "", line).split()
            if re.fullmatch("[0-9a-f]{16}", address):
                yield int(address, 16), frame, dict(zip(columns, cells, strict=True))


def described(row: Row) -> tuple[str, dict[str, str]]:
    """A row in readelf's words."""
    frame = "exp" if row.expression is not None else f"{NAMES[row.register]}{row.offset:+d}"
    words = {
        RuleKind.OFFSET: "c{:+d}",
        RuleKind.VALUE_OFFSET: "v{:+d}",
        RuleKind.UNDEFINED: "u",
        RuleKind.SAME: "s",
        RuleKind.REGISTER: "r{}",
        RuleKind.EXPRESSION: "exp",
        RuleKind.VALUE_EXPRESSION: "vexp",
    }
    return frame, {NAMES[number]: words[rule.kind].format(rule.value) for number, rule in row.rules.items()}


@pytest.mark.parametrize("path", [*LIBRARIES, "static"])
def test_rows_are_those_that_readelf_finds(path):
    """A static program has no table to search."""
    path = str(compile_victim("call_chain", static=True)) if path == "static" else path
    table = CallFrameTable(elf_of(content(path)), spend)
    compared = 0
    for address, frame, cells in list(rows_of(path))[::EVERY]:
        row = table.row(address)
        assert row is not None, hex(address)
        # readelf writes `u` for what has no rule, too.
        found_frame, found = described(row)
        assert (found_frame, {**dict.fromkeys(cells, "u"), **found}) == (frame, cells), hex(address)
        compared += 1
    assert compared > 5


def test_where_no_function_is_nothing_is_said():
    table = CallFrameTable(elf_of(content("/bin/true")), spend)
    assert [table.row(address) for address in (0, 1 << 40, (1 << 64) - 1)] == [None] * 3


def test_symbols_are_those_of_nm():
    program = compile_victim("call_chain")
    symbols = SymbolTable(elf_of(program.read_bytes()), spend)
    lines = subprocess.check_output(["nm", "-S", "--defined-only", program], text=True).splitlines()
    functions = [line.split() for line in lines if len(line.split()) == 4 and line.split()[2] in "Tt"]
    assert len(functions) > 8
    for start, size, _, name in functions:
        first, last = int(start, 16), int(start, 16) + int(size, 16) - 1
        assert symbols.find(first) == (name.encode(), 0)
        assert symbols.find(last) == (name.encode(), last - first)


def test_what_lies_behind_a_function_is_not_that_functions():
    """.init is in no symbol's bounds."""
    symbols = SymbolTable(elf_of(content(LIBRARIES[0])), spend)
    found = [symbols.find(address) for address in range(0x26000, 0x28000, 16)]
    assert None in found
    assert any(found)


def test_a_name_is_the_plainest_of_its_aliases():
    symbols = SymbolTable(elf_of(content(LIBRARIES[0])), spend)
    lines = subprocess.check_output(["nm", "-D", LIBRARIES[0]], text=True).splitlines()
    (write,) = {int(line.split()[0], 16) for line in lines if line.split()[-1].split("@")[0] == "__write"}
    assert symbols.find(write) == (b"write", 0)


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_says_something_or_nothing_and_is_bounded(data):
    """Bytes of the headers, the tables and the entries are changed; whatever is asked then has an answer."""
    path = str(compile_victim("call_chain"))
    whole = content(path)
    damaged = bytearray(whole)
    sections = elf_of(whole).sections
    places = [(0, 1024), *((sections[name].offset, sections[name].size) for name in DAMAGED), (len(whole) - 2500, 2500)]
    for _ in range(data.draw(st.integers(1, 12))):
        start, size = data.draw(st.sampled_from(places))
        damaged[start + data.draw(st.integers(0, size - 1))] = data.draw(
            st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x0F])
        )
    left = [32 << 20]

    def spend(size: int) -> None:
        left[0] -= size
        if left[0] < 0:
            raise Malformed("enough")

    cut = bytes(damaged[: data.draw(st.one_of(st.just(len(damaged)), st.integers(64, len(damaged))))])
    try:
        elf = elf_of(cut)
    except Malformed:
        return
    table, symbols = CallFrameTable(elf, spend), SymbolTable(elf, spend)
    for address in range(0x1000, 0x1800, 37):
        row = table.row(address)
        assert row is None or isinstance(row, Row)
        symbols.find(address)
        answer(partial(elf.address_of, address))
    answer(lambda: elf.build_id)


DAMAGED = (b".eh_frame_hdr", b".eh_frame", b".symtab", b".strtab", b".dynsym")


def answer(ask) -> None:
    try:
        ask()
    except Malformed:
        pass
