"""guarded-path-write: what the system itself is made of can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import grants_on, patterns
from harden.check.subject import Facet
from harden.model.risk import CHANGING
from harden.model.severity import Severity

__all__ = ["CHECK"]

_GUARDED: Final = patterns(
    "/etc/**",
    "/root/**",
    "/home/*/.ssh/**",
    "/home/*/.bashrc",
    "/home/*/.profile",
    "/boot/**",
    "/run/secrets/**",
    "/sys/**",
    "/proc/sys/**",
    "/proc/sysrq-trigger",
    "/proc/@{pid}/mem",
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/dev/sd*",
    "/dev/nvme*",
    "/dev/vd*",
    "/var/spool/cron/**",
    "/var/lib/dpkg/**",
    "/run/docker.sock",
)


def _run(case: Case) -> Iterator[Hit]:
    yield from grants_on(case, _GUARDED, CHANGING, "can be changed")


CHECK: Final = Check(
    id="guarded-path-write",
    severity=Severity.HIGH,
    title="a guarded path can be changed",
    why="Whoever changes these decides what other programs, other users or the kernel do next.",
    fix="Let the program write below a folder of its own (/var/lib/NAME), and give configuration to it read-only.",
    needs=(Facet.FILES,),
    run=_run,
)
