"""Limits of the program's own process: setrlimit(2)."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

from harden.errors import ControlUnavailable, HardenError
from harden.launch.ops import Code, Op, Stage, op
from harden.model.control import Control, Requirement
from harden.model.limit import Rlimit
from harden.model.sandbox import SandboxSpec

__all__ = ["check_rlimits", "rlimit_lines", "rlimit_notes", "rlimit_ops", "rlimits_of"]

_INFINITY: Final = 2**64 - 1
_NOFILE: Final = "nofile"
_LIMITS: Final = Path("/proc/self/limits")
_CORE: Final = Rlimit(name="core", resource=resource.RLIMIT_CORE, soft=0, hard=0)
"""Core files are written with the host's pattern, outside the sandbox."""


def _all(rlimits: tuple[Rlimit, ...]) -> tuple[Rlimit, ...]:
    return rlimits if any(limit.name == _CORE.name for limit in rlimits) else (_CORE, *rlimits)


def rlimits_of(spec: SandboxSpec) -> tuple[Rlimit, ...]:
    """Those that were given, and the profile's nofile where none was: at most the hard limit of this process."""
    given, learned = spec.isolation.rlimits, spec.learned.nofile
    is_off = spec.requirements.get(Control.RLIMITS) is Requirement.OFF
    if learned is None or is_off or any(limit.name == _NOFILE for limit in given):
        return given
    most = min(learned, _hard_nofile())
    return (*given, Rlimit(name=_NOFILE, resource=resource.RLIMIT_NOFILE, soft=most, hard=most))


def rlimit_notes(spec: SandboxSpec) -> list[str]:
    """What the user should know: that the program has fewer descriptors than its profile lets it have."""
    asked = spec.learned.nofile or 0
    found = [limit.hard for limit in rlimits_of(spec) if limit.name == _NOFILE and limit.hard < asked]
    if not found or any(limit.name == _NOFILE for limit in spec.isolation.rlimits):
        return []
    return [f"nofile is {found[0]}, the hard limit of harden itself: the profile lets the program have {asked}"]


def _hard_nofile() -> int:
    """From a file and not by getrlimit(2), so that a kept plan is used only while the limit is the same (Lookups)."""
    for line in _LIMITS.read_text().splitlines():
        if line.startswith("Max open files"):
            word = line.split()[4]
            return _INFINITY if word == "unlimited" else int(word)
    raise HardenError(f"{_LIMITS} has no line for open files", hint="mount procfs on /proc")


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
