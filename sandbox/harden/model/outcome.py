"""What became of a sandboxed program, and what was in force while it ran."""

from __future__ import annotations

import enum

import msgspec

from harden.model.control import Control, Enforcement
from harden.model.resource_limit import PeakName

__all__ = ["Change", "ChangeKind", "ControlState", "Enforced", "Identity", "Outcome", "Usage"]


class ChangeKind(enum.StrEnum):
    """How a file of the host's view was changed inside the copy-on-write layer."""

    CREATED = "created"
    MODIFIED = "modified"
    REMOVED = "removed"


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """One path that the program changed in its copy of the host's files."""

    path: str
    kind: ChangeKind
    file_type: str = "file"
    """file, directory, symlink, fifo, socket, device."""


class ControlState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One control as read back from the kernel (`value` in the kernel's words) or why it is not in force."""

    control: Control
    enforcement: Enforcement
    value: str = ""
    reason: str = ""


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids of the program's process as they are inside; 65534 for one that is mapped to nothing."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary groups."""


class Enforced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `--enforced-json` writes."""

    format: str = "harden-enforced/1"
    result: Enforcement
    controls: tuple[ControlState, ...]
    identity: Identity | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Resources the program used, from its wait status (wait4(2)) and its cgroup; None where unknown."""

    elapsed_s: float | None = None
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    memory_peak_bytes: int | None = None
    """Of the cgroup; None where it has no memory controller."""
    memory_largest_bytes: int | None = None
    """What the largest process that was waited for had in memory at most (ru_maxrss of getrusage(2))."""
    memory_tree_bytes: int | None = None
    """What all processes were seen to have in memory at most (`harden.launch.memory_watch`)."""
    pids_peak: int | None = None
    oom_events: int | None = None
    """Times that the sandbox's memory limit was reached and nothing could be freed."""
    oom_kills: int | None = None
    """Processes that the kernel killed for want of memory: the host's, where there are no `oom_events`."""
    forks_refused: int | None = None
    """Times that a process or thread could not be made because of the pids limit."""

    def peaks(self) -> dict[str, float]:
        """`Run.peaks`, as far as they are known here.

        A cgroup that counts memory knows better than looks; where nobody looked, the largest process is not the peak.
        """
        memory = self.memory_peak_bytes
        tree = None if self.memory_tree_bytes is None else max(self.memory_tree_bytes, self.memory_largest_bytes or 0)
        found = {
            "elapsed_s": self.elapsed_s,
            "cpu_user_s": self.cpu_user_s,
            "cpu_system_s": self.cpu_system_s,
            PeakName.MEMORY_CGROUP.value: memory,
            PeakName.MEMORY_TREE.value: tree if memory is None else None,
            PeakName.PIDS.value: self.pids_peak,
        }
        return {name: float(value) for name, value in found.items() if value is not None}

    def limits_reached(self) -> tuple[str, ...]:
        """A sentence for each limit of the cgroup that the program ran into."""
        found = []
        if self.oom_kills:
            above = "the host, or a cgroup above, was out of memory"
            why = above if self.oom_events == 0 else "the memory limit was reached"
            found.append(f"memory: the kernel killed {self.oom_kills} of its processes: {why}")
        if self.forks_refused:
            found.append(f"pids: {self.forks_refused} processes or threads were refused: the pids limit was reached")
        return tuple(found)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The end of a run: an exit status or a signal, never both."""

    exit_status: int | None
    signal: int | None
    timed_out: bool = False
    usage: Usage = Usage()
    changes: tuple[Change, ...] = ()
    enforced: Enforced | None = None

    @property
    def status(self) -> int:
        """The status a shell would show: the program's own, 124 after `--timeout`, 128 + n for signal n."""
        if self.timed_out:
            return 124
        if self.signal is not None:
            return 128 + self.signal
        if self.exit_status is None:
            raise ValueError("an outcome has an exit status or a signal")
        return self.exit_status
