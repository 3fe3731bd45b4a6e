"""Names for what seccomp filters refused."""

from __future__ import annotations

import signal

from harden.model.denial import Refusal
from harden.model.syscall import name_of
from harden.model.syscall_argument import ARGUMENT_ROWS
from harden.trace.decode import ABI_NATIVE, arch_of, decode_programs, program_text
from harden.trace.errno_name import errno_name
from harden.trace.layout import RefusalKey
from harden.trace.observations import Observations

__all__ = ["decode_refusals"]


def decode_refusals(observations: Observations) -> tuple[Refusal, ...]:
    """Refused calls per executable, ABI, arguments and answer, in an order of their own."""
    programs = decode_programs(observations.events)
    found = []
    for key, count in sorted(observations.refusals.items()):
        arch = arch_of(observations.arch, key.abi)
        name = name_of(arch, key.nr) if arch else f"syscall_{key.nr}"
        found.append(
            Refusal(
                executable=program_text(programs, key.executable),
                arch=arch,
                nr=key.nr,
                name=name,
                values=_values(key, name) if key.abi == ABI_NATIVE else None,
                result=errno_name(key.error) if key.error > 0 else signal.Signals(-key.error).name,
                count=count,
            )
        )
    return tuple(found)


def _values(key: RefusalKey, name: str) -> tuple[int, ...] | None:
    row = ARGUMENT_ROWS.get(name)
    return (key.value0, key.value1, key.value2)[: len(row.arguments)] if row else None
