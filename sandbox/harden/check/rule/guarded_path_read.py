"""guarded-path-read: what holds everybody's secrets can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import grants_on, patterns
from harden.check.subject import Facet
from harden.model.recording import FileOperation
from harden.model.severity import Severity

__all__ = ["CHECK"]

_READS: Final = frozenset({FileOperation.READ, FileOperation.LIST, FileOperation.MAP, FileOperation.LINK})
_GUARDED: Final = patterns(
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d/**",
    "/etc/security/opasswd",
    "/etc/ssh/ssh_host_*_key",
    "/etc/ssl/private/**",
    "/root/**",
    "/home/*/.ssh/**",
    "/run/secrets/**",
    "/proc/kcore",
    "/proc/kallsyms",
    "/proc/@{pid}/mem",
    "/proc/@{pid}/environ",
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/sys/kernel/debug/**",
    "/sys/kernel/tracing/**",
    "/sys/firmware/efi/efivars/**",
    "/var/lib/kubelet/**",
    "/run/docker.sock",
    "/run/containerd/**",
)


def _run(case: Case) -> Iterator[Hit]:
    yield from grants_on(case, _GUARDED, _READS, "can be read")


CHECK: Final = Check(
    id="guarded-path-read",
    severity=Severity.HIGH,
    title="a guarded path can be read",
    why="These files hold the secrets of the machine or of its users: password hashes, keys, the memory of the kernel.",
    fix="Narrow the pattern to the program's own files. If the program really reads one of these, hand it a copy of "
    "what it needs.",
    needs=(Facet.FILES,),
    run=_run,
)
