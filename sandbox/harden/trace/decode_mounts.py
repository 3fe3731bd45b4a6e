"""Names for what was mounted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harden.model.mount import MountSeen
from harden.model.path_text import to_text
from harden.model.syscall import name_of
from harden.trace.decode import Program, program_text
from harden.trace.layout import EventKind
from harden.trace.look import result_of
from harden.trace.observations import Observations
from harden.trace.tally import Tally

__all__ = ["decode_mounts"]

_WITHOUT_TYPE: Final = 0x20 | 0x1000 | 0x2000 | 0x20000 | 0x40000 | 0x80000 | 0x100000
"""MS_REMOUNT, MS_BIND, MS_MOVE, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED: mount(2) then ignores the type."""


def decode_mounts(observations: Observations, programs: Mapping[int, Program]) -> tuple[MountSeen, ...]:
    """Types of file systems per executable, sorted."""
    found: Tally[tuple[str, str, str, str]] = Tally()
    for event in observations.events:
        if event.kind != EventKind.TYPE:
            continue
        syscall = name_of(observations.arch, event.key.nr)
        if syscall == "mount" and event.key.flags & _WITHOUT_TYPE:
            continue
        executable = program_text(programs, event.key.executable)
        item = (executable, to_text(event.string), syscall, result_of(event.key.error))
        count = observations.seen.get(event.key, 1)
        found.add(item, event.key.executable, count, observations.beginning(event.key))
    return tuple(
        sorted(
            MountSeen(
                executable=executable,
                filesystem=filesystem,
                syscall=syscall,
                result=result,
                **found.evidence(item),
            )
            for item in found
            for executable, filesystem, syscall, result in (item,)
        )
    )
