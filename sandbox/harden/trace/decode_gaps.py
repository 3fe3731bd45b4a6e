"""What is missing in a recording, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from harden.model.arch import Arch
from harden.model.recording import Gap, GapKind
from harden.trace.decode import ABI_NATIVE, Program, decode_syscalls
from harden.trace.layout import KILLED_NR, SERVING
from harden.trace.observations import Observations
from harden.trace.place import is_by_descriptor

__all__ = ["decode_gaps"]

_LOSS_GAPS: Final[Mapping[str, tuple[GapKind, str]]] = {
    "ring_full": (GapKind.LOST_EVENTS, "the ring buffer was full"),
    "memory": (GapKind.LOST_EVENTS, "the recorder's memory for events was used up"),
    "no_memory": (GapKind.LOST_EVENTS, "the kernel had no memory for a map entry"),
    "tasks": (GapKind.LOST_EVENTS, "a task could not be followed"),
    "skipped": (GapKind.LOST_EVENTS, "the kernel skipped a recorder program that was already running"),
    "mappings": (GapKind.LOST_EVENTS, "a memory mapping could not be looked up"),
    "map_full": (GapKind.LIMIT_REACHED, "more distinct operations than a recorder's map holds"),
    "truncated": (GapKind.LIMIT_REACHED, "a path longer than PATH_MAX"),
    "unreadable": (GapKind.UNREADABLE_PATH, "a name or address in the program's memory could not be read"),
    "event_table": (GapKind.LIMIT_REACHED, "more distinct operations than the recorder's table of events holds"),
    "recorder": (GapKind.LOST_EVENTS, "the recorder ended before the program did"),
    "sockets": (GapKind.LOST_EVENTS, "a socket could not be asked for its family and type"),
    "unfollowed": (GapKind.UNREADABLE_PATH, "a name could not be followed to what was opened"),
    "listeners": (
        GapKind.NESTED_LISTENER,
        "a seccomp listener was asked for and refused (EBUSY): the recorder has it",
    ),
    "detached": (GapKind.UNREADABLE_PATH, "a path on a mount that is in no namespace"),
}
_UNSEEN: Final[Mapping[str, tuple[GapKind, str]]] = {
    "io_uring_setup": (GapKind.IO_URING, "io_uring_setup {}: what its rings do is not seen"),
    "io_uring_enter": (GapKind.IO_URING, "io_uring_enter {}: what its rings do is not seen"),
    "ptrace": (GapKind.NESTED_PTRACE, "ptrace {}: a tracer can make calls in another program's place"),
}


def decode_gaps(observations: Observations, programs: Mapping[int, Program]) -> tuple[Gap, ...]:
    """Why the recording does not show everything, sorted."""
    found: Counter[tuple[GapKind, str]] = Counter()
    for name, count in observations.losses.items():
        found[_LOSS_GAPS[name]] += count
    for call in decode_syscalls(observations, programs):
        succeeded = call.count - sum((call.errors or {}).values())
        if call.arch is not observations.arch:
            found[GapKind.FOREIGN_ARCH, f"{call.arch} system calls"] += call.count
        elif call.name in _UNSEEN and succeeded > 0:
            kind, detail = _UNSEEN[call.name]
            found[kind, detail.format("was called" if call.errors is None else "succeeded")] += succeeded
    if observations.arch is not Arch.X86_64:
        foreign = sum(count for key, count in observations.counts.items() if key.abi != ABI_NATIVE and not key.error)
        found[GapKind.FOREIGN_ARCH, "32-bit system calls"] += foreign
    anonymous = sum(not program.path.startswith(b"/") for program in programs.values())
    found[GapKind.ANONYMOUS_PROGRAM, "a program without a path ran (memfd): no rule can be written for it"] += anonymous
    unknown = sum(is_by_descriptor(program.path) for program in programs.values())
    found[
        GapKind.ANONYMOUS_PROGRAM, "a script ran by a descriptor that is not known: no rule can be written for it"
    ] += unknown
    killed = len({key.hash for key in observations.seen if key.nr == KILLED_NR})
    found[GapKind.STILL_RUNNING, _still_running(killed)] += killed
    known = {key.executable & ~SERVING for key in observations.counts} - programs.keys()
    found[GapKind.LOST_EVENTS, "the event that names an executable is missing"] += len(known)
    return tuple(sorted(Gap(kind=kind, detail=detail, count=n) for (kind, detail), n in found.items() if n))


def _still_running(count: int) -> str:
    processes = "1 process was" if count == 1 else f"{count} processes were"
    return (
        f"{processes} still running when the program ended and killed: run it in the foreground or drive it with a "
        "scenario"
    )
