"""dangerous-call: calls that administer the machine or open wide parts of the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import granted_calls
from harden.check.subject import Facet
from harden.model.severity import Severity

__all__ = ["CHECK"]

_CALLS: Final = (
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "iopl",
    "ioperm",
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "open_tree",
    "mount_setattr",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "open_by_handle_at",
    "userfaultfd",
    "perf_event_open",
    "add_key",
    "request_key",
    "keyctl",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "syslog",
    "modify_ldt",
    "move_pages",
    "nfsservctl",
    "lookup_dcookie",
)


def _run(case: Case) -> Iterator[Hit]:
    yield from granted_calls(case, _CALLS)


CHECK: Final = Check(
    id="dangerous-call",
    severity=Severity.HIGH,
    title="a call for administering the machine is allowed",
    why="Such calls change the machine or give access to old, wide parts of the kernel; an application rarely needs "
    "any.",
    fix="Refuse the call. If the program cannot do without it, waive it for this profile and say why.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
