"""The only module that prints: results on stdout, everything about harden itself on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from harden.errors import HardenError

__all__ = [
    "ResultLost",
    "bytes_out",
    "error",
    "json_out",
    "line",
    "line_by_line",
    "note",
    "note_line",
    "open_streams",
    "printable",
    "settle",
    "silence_broken_pipe",
    "table",
]


class ResultLost(OSError):
    """stdout cannot take the result."""


@contextmanager
def _result() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ResultLost(error.errno, error.strerror) from None


def line(text: str = "") -> None:
    """One line of result."""
    with _result():
        print(printable(text))


def line_by_line(text: str) -> None:
    """Several lines of result."""
    for each in text.splitlines():
        line(each)


def note(text: str) -> None:
    """One line about what harden does or found, on stderr, so that a program's own output stays clean."""
    _tell(note_line(text))


def note_line(text: str) -> str:
    """What note() prints."""
    return f"harden: {printable(text)}"


def error(problem: HardenError) -> None:
    """A problem and its next step, once, on stderr."""
    _flush(sys.stdout)
    _tell(f"harden: {printable(problem.message)}")
    if problem.hint:
        _tell(f"hint: {printable(problem.hint)}")


def json_out(value: Any) -> None:
    """A value as indented JSON; msgspec structs included."""
    import msgspec

    with _result():
        print(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True))


def bytes_out(content: bytes) -> None:
    """Rendered output as it is."""
    with _result():
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
        with _result():
            print("  ".join([*padded, row[-1]]).rstrip())


def open_streams() -> None:
    """Give the interpreter the streams that were closed when it began: 1 and 2 are open by now."""
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def settle() -> OSError | None:
    """Write what is left, so that nothing can fail when the interpreter ends; why stdout could not take it, if so."""
    _flush(sys.stderr)
    return _flush(sys.stdout)


def silence_broken_pipe() -> None:
    """Let the interpreter exit quietly after the reader of stdout went away."""
    _silence(sys.stdout)


def _silence(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _flush(stream: TextIO) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        _silence(stream)
        return error
    return None


def _tell(text: str) -> None:
    """A line on stderr. Where that cannot be written, as on a full disk, nobody is left to be told: what counts then is
    the exit status, which it must not change.
    """
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def printable(text: str) -> str:
    """`text` without anything that a terminal would act on: names come from hostile programs."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()
