"""Names for signals and for operations of io_uring."""

from __future__ import annotations

from harden.model.action import RingOperationSeen, SignalSeen, SignalTarget
from harden.model.phase import Phase
from harden.trace.decode import decode_programs
from harden.trace.decode_actions import decode_ring_operations, decode_signals
from harden.trace.layout import SERVING, RingKey, SignalKey
from tests.trace.sample_observations import observe

NATIVE, COMPAT = 0, 2
KILL = 62


def test_signals_are_named_and_added_up_over_phases():
    signals = {
        SignalKey(1, KILL, 15, 1, NATIVE): 2,
        SignalKey(1 | SERVING, KILL, 15, 1, NATIVE): 1,
        SignalKey(1, KILL, 34, 0, NATIVE): 1,
        SignalKey(1, KILL, 40, 4, NATIVE): 1,
        SignalKey(1, KILL, 33, 3, NATIVE): 1,
    }
    observations = observe(signals=signals)
    decoded = decode_signals(observations, decode_programs(observations.events))
    assert [(seen.signal, seen.target) for seen in decoded] == [
        ("SIG33", SignalTarget.OTHER),
        ("SIGRTMIN", SignalTarget.SELF),
        ("SIGRTMIN+6", SignalTarget.OUTSIDE),
        ("SIGTERM", SignalTarget.CHILD),
    ]
    both = (Phase.INIT, Phase.SERVING)
    assert decoded[-1] == SignalSeen(
        executable="/bin/program", signal="SIGTERM", target=SignalTarget.CHILD, syscall="kill", count=3, phases=both
    )


def test_the_call_that_sent_a_signal_is_named_by_its_own_table():
    observations = observe(signals={SignalKey(1, 37, 15, 0, COMPAT): 1, SignalKey(1, 37, 14, 0, NATIVE): 1})
    decoded = decode_signals(observations, decode_programs(observations.events))
    assert [(seen.signal, seen.syscall) for seen in decoded] == [("SIGALRM", "alarm"), ("SIGTERM", "kill")]


def test_an_operation_is_of_the_call_that_submitted_it_or_of_none():
    observations = observe(rings={RingKey(1, 426, 18, NATIVE): 3, RingKey(1, -1, 18, NATIVE): 2})
    decoded = decode_ring_operations(observations, decode_programs(observations.events))
    assert [(seen.operation, seen.syscall, seen.count) for seen in decoded] == [
        ("OPENAT", "", 2),
        ("OPENAT", "io_uring_enter", 3),
    ]


def test_an_operation_that_is_newer_than_the_table_keeps_its_number():
    observations = observe(rings={RingKey(1, -1, 18, NATIVE): 3, RingKey(1, -1, 200, NATIVE): 1})
    assert decode_ring_operations(observations, decode_programs(observations.events)) == (
        RingOperationSeen(executable="/bin/program", operation="200", count=1),
        RingOperationSeen(executable="/bin/program", operation="OPENAT", count=3),
    )
