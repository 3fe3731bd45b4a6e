"""The only module that prints: results on stdout, everything about harden itself on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from harden.errors import HardenError

__all__ = ["bytes_out", "error", "json_out", "line", "line_by_line", "note", "note_line", "printable", "table"]


def line(text: str = "") -> None:
    """One line of result."""
    print(printable(text))


def line_by_line(text: str) -> None:
    """Several lines of result."""
    for each in text.splitlines():
        line(each)


def note(text: str) -> None:
    """One line about what harden does or found, on stderr, so that a program's own output stays clean."""
    print(note_line(text), file=sys.stderr, flush=True)


def note_line(text: str) -> str:
    """What note() prints."""
    return f"harden: {printable(text)}"


def error(problem: HardenError) -> None:
    """A problem and its next step, once, on stderr."""
    sys.stdout.flush()
    print(f"harden: {printable(problem.message)}", file=sys.stderr)
    if problem.hint:
        print(f"hint: {printable(problem.hint)}", file=sys.stderr)


def json_out(value: Any) -> None:
    """A value as indented JSON; msgspec structs included."""
    import msgspec

    print(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True))


def bytes_out(content: bytes) -> None:
    """Rendered output as it is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def table(rows: Iterable[Sequence[str]], *, header: Sequence[str] = ()) -> None:
    """Left-aligned columns, two spaces apart; the last one is not padded."""
    cells = [tuple(printable(cell) for cell in row) for row in (*([header] if header else []), *rows)]
    if not cells:
        return
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        print("  ".join([*padded, row[-1]]).rstrip())


def silence_broken_pipe() -> None:
    """Let the interpreter exit quietly after the reader of stdout went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printable(text: str) -> str:
    """`text` without anything that a terminal would act on: names come from hostile programs."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()
