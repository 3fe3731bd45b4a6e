"""Files of executables on the host: digest and ELF build id."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from harden.model.file_operation import CAN_HAVE_WORKED
from harden.model.path_text import to_text
from harden.model.recording import ExecutableSeen, FileOperation, FileSeen
from harden.trace.decode import Program

__all__ = ["Resolve", "build_id", "build_id_note", "describe_executables", "digest"]

Resolve = Callable[[bytes], bytes | None]
"""From a path of the sandbox to the host file that it shows."""

_PT_NOTE: Final = 4
_NT_GNU_BUILD_ID: Final = 3
_ELF64: Final = struct.Struct("=16sHHIQQQIHHHHHH")
_PROGRAM_HEADER: Final = struct.Struct("=IIQQQQQQ")
_NOTE: Final = struct.Struct("=III")


def digest(content: bytes) -> str:
    """`sha256:` and the hexadecimal digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def build_id(content: bytes) -> str:
    """The GNU build id of a 64-bit ELF file in hexadecimal; empty for anything without one (elf(5))."""
    if content[:5] != b"\x7fELF\x02" or len(content) < _ELF64.size:
        return ""
    header = _ELF64.unpack_from(content)
    offset, size, count = header[5], header[9], header[10]
    for index in range(count):
        start = offset + index * size
        if size < _PROGRAM_HEADER.size or start + _PROGRAM_HEADER.size > len(content):
            return ""
        segment = _PROGRAM_HEADER.unpack_from(content, start)
        kind, position, length, align = segment[0], segment[2], segment[5], segment[7]
        found = build_id_note(content[position : position + length], align) if kind == _PT_NOTE else ""
        if found:
            return found
    return ""


def build_id_note(notes: bytes, align: int) -> str:
    """The GNU build id in the content of a PT_NOTE segment, in hexadecimal; empty if it is not there."""
    step = 8 if align == 8 else 4
    offset = 0
    while offset + _NOTE.size <= len(notes):
        name_size, size, kind = _NOTE.unpack_from(notes, offset)
        name_at = offset + _NOTE.size
        at = name_at + -(-name_size // step) * step
        if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0":
            return notes[at : at + size].hex()
        offset = at + -(-size // step) * step
    return ""


def describe_executables(
    programs: Mapping[int, Program], files: Iterable[FileSeen], resolve: Resolve | None
) -> tuple[ExecutableSeen, ...]:
    """The programs that ran, sorted by path; one entry for a path that ran with several numbers."""
    libraries: dict[str, set[str]] = {}
    for file in files:
        if file.operation is FileOperation.MAP and file.result in CAN_HAVE_WORKED and file.syscall != "execve":
            libraries.setdefault(file.executable, set()).add(file.path)
    described = {}
    for _number, program in sorted(programs.items(), reverse=True):
        path = to_text(program.path)
        content = None if not program.path.startswith(b"/") else _read(program.path, resolve)
        is_script = program.path != program.file
        interpreter = to_text(program.file if is_script else program.loader)
        described[path] = ExecutableSeen(
            path=path,
            digest="" if content is None else digest(content),
            build_id="" if content is None else build_id(content),
            interpreter=interpreter,
            libraries=tuple(sorted(libraries.get(path, set()) - {path, interpreter})),
            argv0=to_text(program.argv0),
        )
    return tuple(described[path] for path in sorted(described))


def _read(path: bytes, resolve: Resolve | None) -> bytes | None:
    """The file's content, None where nobody knows it any more: it may be gone when the run is over."""
    host = resolve(path) if resolve else None
    if host is None:
        return None
    try:
        with open(host, "rb") as file:
            return file.read()
    except OSError:
        return None
