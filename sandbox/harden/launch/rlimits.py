"""Limits of the program's own process: setrlimit(2)."""

from __future__ import annotations

import resource
from typing import Final

from harden.errors import ControlUnavailable
from harden.launch.ops import Code, Op, Stage, op
from harden.model.control import Control
from harden.model.limit import Rlimit

__all__ = ["check_rlimits", "rlimit_lines", "rlimit_ops"]

_INFINITY: Final = 2**64 - 1
_CORE: Final = Rlimit(name="core", resource=resource.RLIMIT_CORE, soft=0, hard=0)
"""Core files are written with the host's pattern, outside the sandbox."""


def _all(rlimits: tuple[Rlimit, ...]) -> tuple[Rlimit, ...]:
    return rlimits if any(limit.name == _CORE.name for limit in rlimits) else (_CORE, *rlimits)


def _word(value: int) -> str:
    return "unlimited" if value == _INFINITY else str(value)


def check_rlimits(rlimits: tuple[Rlimit, ...]) -> None:
    """Raises ControlUnavailable for a limit above the hard one of this process: only CAP_SYS_RESOURCE raises it."""
    for limit in rlimits:
        ours = resource.getrlimit(limit.resource)[1]
        if ours not in (resource.RLIM_INFINITY, _INFINITY) and limit.hard > ours:
            raise ControlUnavailable(
                Control.RLIMITS.value,
                f"{limit.name} cannot be {_word(limit.hard)}: the hard limit of harden itself is {ours}",
                hint=f"--rlimit {limit.name}={ours}, or raise harden's own: prlimit --{limit.name}={_word(limit.hard)}",
            )


def rlimit_lines(rlimits: tuple[Rlimit, ...]) -> bytes:
    """What is expected of /proc/PID/limits."""
    return "\n".join(f"{limit.name} {_word(limit.soft)} {_word(limit.hard)}" for limit in _all(rlimits)).encode()


def rlimit_ops(rlimits: tuple[Rlimit, ...]) -> list[Op]:
    """Set them; the core file limit is 0 unless another is asked for."""
    ops = []
    for limit in _all(rlimits):
        words = f"limit {limit.name} to {_word(limit.soft)}, at most {_word(limit.hard)}"
        ops.append(
            op(
                Stage.PAYLOAD,
                Code.RLIMIT,
                words,
                numbers=(limit.resource, limit.soft, limit.hard),
                sentence=f"rlimits: cannot {words}",
                hint="only a process with CAP_SYS_RESOURCE can raise its own hard limit: give a lower one",
            )
        )
    return ops
