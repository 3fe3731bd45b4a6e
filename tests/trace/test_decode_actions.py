"""Names for signals and for operations of io_uring."""

from __future__ import annotations

from harden.model.action import RingOperationSeen, SignalSeen, SignalTarget
from harden.model.phase import Phase
from harden.trace.decode import decode_programs
from harden.trace.decode_actions import decode_ring_operations, decode_signals
from harden.trace.layout import SERVING, RingKey, SignalKey
from tests.trace.sample_observations import observe


def test_signals_are_named_and_added_up_over_phases():
    signals = {
        SignalKey(1, 15, 1): 2,
        SignalKey(1 | SERVING, 15, 1): 1,
        SignalKey(1, 34, 0): 1,
        SignalKey(1, 40, 4): 1,
        SignalKey(1, 33, 3): 1,
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
        executable="/bin/program", signal="SIGTERM", target=SignalTarget.CHILD, count=3, phases=both
    )


def test_an_operation_that_is_newer_than_the_table_keeps_its_number():
    observations = observe(rings={RingKey(1, 18): 3, RingKey(1, 200): 1})
    assert decode_ring_operations(observations, decode_programs(observations.events)) == (
        RingOperationSeen(executable="/bin/program", operation="200", count=1),
        RingOperationSeen(executable="/bin/program", operation="OPENAT", count=3),
    )
