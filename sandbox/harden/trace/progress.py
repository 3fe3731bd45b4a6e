"""How far a recording has come, while it goes on."""

from __future__ import annotations

import msgspec

from harden.model.arch import Arch
from harden.model.path_text import to_text
from harden.model.syscall import name_of
from harden.trace.decode_lookups import parse_answer
from harden.trace.decode_sockets import parse_address, socket_paths
from harden.trace.layout import Event, EventKind, Mark
from harden.trace.place import join, path_of_names

__all__ = ["Progress", "describe_event"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a recording that goes on."""

    calls: int
    """System calls so far."""
    tasks: int | None
    """Processes and threads that live now; None: not known."""
    new: int
    """Distinct programs and operations on files and sockets so far."""
    last: str
    """The last of them, as text; empty before the first."""
    last_s: float
    """When it was seen, in seconds of time.monotonic()."""
    lost: int
    """Things that could not be recorded so far."""


def describe_event(event: Event, arch: Arch) -> str:
    """An event in a few words: the call, and its path or address."""
    if event.kind == EventKind.EXECUTABLE:
        path = join(path_of_names(event.base2), event.string) if event.string else path_of_names(event.base)
        return f"program {to_text(path)}"
    name = name_of(arch, event.key.nr)
    if event.kind == EventKind.ANSWER:
        answer = parse_answer(event.string)
        return f"answer for {answer[0]}" if answer else "answer of a name server"
    if event.kind == EventKind.TYPE:
        return f"{name} {to_text(event.string)}"
    if event.kind == EventKind.SOCKET:
        path = socket_paths((event,)).get(event, b"")
        address, port = (to_text(path), None) if path else parse_address(event.string)
        return " ".join(part for part in (name, address if port is None else f"{address}:{port}") if part)
    path = path_of_names(event.base)
    return f"{name} {to_text(path if event.marks & Mark.OBJECT else join(path, event.string))}"
