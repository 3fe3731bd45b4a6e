"""Observations made by hand: events and counters as the kernel side would send them."""

from __future__ import annotations

from harden.model.arch import Arch
from harden.model.syscall import number_of
from harden.trace.layout import Event, EventKind, Mark, SeenKey
from harden.trace.observations import Observations

__all__ = ["executable", "file_event", "names", "nr", "observe", "socket_event"]


def nr(name: str) -> int:
    number = number_of(Arch.X86_64, name)
    assert number is not None
    return number


def names(path: str) -> bytes:
    """A path as the kernel side sends it: leaf first, each name with its NUL."""
    return b"".join(name.encode() + b"\0" for name in reversed(path.strip("/").split("/")) if name)


def _event(kind: int, key: SeenKey, **segments: bytes) -> Event:
    empty = dict.fromkeys(("string", "string2", "base", "base2", "loader", "argv0"), b"")
    marks = Mark.OBJECT if kind == EventKind.FILE and "string" not in segments else 0
    return Event(key, 1, kind, marks, **{**empty, **segments})


def executable(number: int, path: str, **segments: bytes) -> Event:
    key = SeenKey(0, 0, number, 0, 0, 0, 0)
    return _event(EventKind.EXECUTABLE, key, base=names(path), **segments)


def file_event(call: str, *, error: int = 0, flags: int = 0, mode: int = 0, hash: int = 1, **segments: bytes) -> Event:
    """An event of executable 1; with `string` it is by name, without by object."""
    return _event(EventKind.FILE, SeenKey(hash, 0, 1, nr(call), error, flags, mode), **segments)


def socket_event(call: str, *, family: int, type: int, protocol: int = 0, error: int = 0, **segments: bytes) -> Event:
    key = SeenKey(1, 0, 1, nr(call), error, family | type << 16, protocol)
    return _event(EventKind.SOCKET, key, **segments)


def observe(*events: Event, **parts: object) -> Observations:
    """Observations with these events, each seen once, and executable 1 = /bin/program."""
    everything = (executable(1, "/bin/program"), *events)
    seen = {event.key: 1 for event in events if event.kind != EventKind.EXECUTABLE}
    return Observations(recorder="test", arch=Arch.X86_64, events=everything, **{"seen": seen, **parts})  # type: ignore[arg-type]
