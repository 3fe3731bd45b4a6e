"""Names for signals that were sent and operations that were submitted to io_uring."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Final

from harden.model.action import RingOperationSeen, SignalSeen, SignalTarget
from harden.model.io_uring_operation import OPERATIONS
from harden.trace.decode import Program, call_name, program_text
from harden.trace.observations import Observations
from harden.trace.tally import Tally

__all__ = ["decode_ring_operations", "decode_signals"]

_TARGETS: Final = (
    SignalTarget.SELF,
    SignalTarget.CHILD,
    SignalTarget.PARENT,
    SignalTarget.OTHER,
    SignalTarget.OUTSIDE,
)
"""By their number in layout.h."""
_FIRST_REALTIME: Final = 34
"""SIGRTMIN of glibc, which keeps 32 and 33 for itself (signal(7))."""


def decode_signals(observations: Observations, programs: Mapping[int, Program]) -> tuple[SignalSeen, ...]:
    """Signals per executable, sorted."""
    found: Tally[tuple[str, str, SignalTarget, str]] = Tally()
    for key, count in observations.signals.items():
        call = call_name(observations.arch, key.abi, key.nr)
        sent = (program_text(programs, key.executable), _signal_name(key.signal), _TARGETS[key.target], call)
        found.add(sent, key.executable, count, observations.beginning(key))
    return tuple(
        sorted(
            SignalSeen(
                executable=executable,
                signal=name,
                target=target,
                syscall=call,
                **found.evidence(sent),
            )
            for sent in found
            for executable, name, target, call in (sent,)
        )
    )


def _signal_name(number: int) -> str:
    if number >= _FIRST_REALTIME:
        offset = number - _FIRST_REALTIME
        return f"SIGRTMIN+{offset}" if offset else "SIGRTMIN"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def decode_ring_operations(
    observations: Observations, programs: Mapping[int, Program]
) -> tuple[RingOperationSeen, ...]:
    """Operations per executable, sorted."""
    found: Tally[tuple[str, str, str]] = Tally()
    for key, count in observations.rings.items():
        name = OPERATIONS[key.opcode] if key.opcode < len(OPERATIONS) else str(key.opcode)
        done = (program_text(programs, key.executable), name, call_name(observations.arch, key.abi, key.nr))
        found.add(done, key.executable, count, observations.beginning(key))
    return tuple(
        sorted(
            RingOperationSeen(
                executable=executable,
                operation=name,
                syscall=call,
                **found.evidence(done),
            )
            for done in found
            for executable, name, call in (done,)
        )
    )
