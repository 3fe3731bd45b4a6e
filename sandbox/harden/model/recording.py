"""The recording: what was seen while a program ran. A file holds any number of runs; merging is the union of runs.

A run is named by the digest of its content, so that merging is commutative, associative and idempotent, and the same
runs give the same bytes whatever their order.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from harden.errors import DocumentError
from harden.model.action import RingOperationSeen, SignalSeen
from harden.model.arch import Arch
from harden.model.capability import require_known
from harden.model.file_operation import OK, FileOperation, Resolution
from harden.model.gap import OPAQUE, Completeness, Gap, GapKind
from harden.model.lookup import LookupSeen
from harden.model.mount import MountSeen
from harden.model.outcome import Change
from harden.model.path_text import from_text
from harden.model.phase import INIT_ONLY, Phase
from harden.model.seen import Seen, without_evidence
from harden.model.socket import SocketOperation, SocketSeen
from harden.model.stack import NO_STACK, Stacks
from harden.model.workload import Workload

__all__ = [
    "RECORDING_FORMAT",
    "ArgumentsSeen",
    "CapabilityNamespace",
    "CapabilitySeen",
    "Completeness",
    "ExecutableSeen",
    "FileOperation",
    "FileSeen",
    "Gap",
    "GapKind",
    "Host",
    "Phase",
    "Recording",
    "Resolution",
    "Run",
    "RunStatus",
    "SocketOperation",
    "SocketSeen",
    "SyscallSeen",
    "Unseen",
    "merge",
    "with_evidence",
]

RECORDING_FORMAT: Final = "harden-recording/1"
_SEEN: Final = (
    *("syscalls", "arguments", "capabilities", "files", "sockets", "mounts", "lookups", "signals"),
    "ring_operations",
)
"""Fields of a run that hold what was seen."""
_NEWER_CAPABILITY: Final = re.compile(r"CAP_(4[1-9]|5[0-9]|6[0-3])")
"""The kernel has room for 64."""


class SyscallSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """A system call, how often it was made, and how often it failed with which errno."""

    arch: Arch
    nr: int
    name: str
    count: int
    errors: dict[str, int] | None = msgspec.field(default_factory=dict)
    """Errno name to count; calls that succeeded are `count` minus the sum. A call that never returns has none.
    None: the recorder does not see results."""
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None


class ArgumentsSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """One combination of the arguments that matter (the rows of `syscall_argument`), masked and at their width."""

    arch: Arch
    name: str
    values: tuple[int, ...] | None
    """None: there were too many distinct combinations to keep, so nothing can be said of this call's arguments."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None


class CapabilityNamespace(enum.StrEnum):
    """The user namespace that a capability was asked against."""

    SANDBOX = "sandbox"
    """The sandbox's own."""
    NESTED = "nested"
    """One that the program made itself, below the sandbox's: what it may do there is its own doing."""
    HOST = "host"
    """The initial one, or another outside the sandbox: cannot be granted inside."""


class CapabilitySeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """A capability check by cap_capable, with its verdict and the system call it happened in."""

    capability: str
    """CAP_* name, or CAP_ and the number of one that is newer than this version."""
    namespace: CapabilityNamespace
    granted: bool
    probing: bool = False
    """The kernel only looked (CAP_OPT_NOAUDIT, overcommit accounting): the result changes no permission."""
    syscall: str = ""
    """Name of the call it happened in; empty outside any call."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None

    def __post_init__(self) -> None:
        if not _NEWER_CAPABILITY.fullmatch(self.capability):
            require_known((self.capability,))


class FileSeen(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """An operation on a path as the sandbox sees it (path text)."""

    path: str
    operation: FileOperation
    result: str = OK
    """`ok` or the errno's name: a failed attempt is kept as a probe. Where results are not seen: `unknown`, `absent` or
    `present` (see harden.model.file_operation)."""
    resolution: Resolution
    syscall: str
    folder: bool = False
    """The object is a folder."""
    count: int
    phases: tuple[Phase, ...] = INIT_ONLY
    stack: int = NO_STACK
    first_us: int | None = None
    process: int | None = None

    def __post_init__(self) -> None:
        from_text(self.path)


class ExecutableSeen(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True
):
    """A program that ran: its file, who interpreted it, and the libraries it mapped."""

    path: str
    digest: str = ""
    build_id: str = ""
    interpreter: str = ""
    """For a script, the program named after `#!`; for a dynamic ELF file, its loader."""
    libraries: tuple[str, ...] = ()
    argv0: str = ""

    def __post_init__(self) -> None:
        for text in (self.path, self.interpreter, *self.libraries):
            from_text(text)


class Unseen(enum.StrEnum):
    """What a recorder can never see: such things are unknown in a recording, not absent."""

    RESULTS = "results"
    """How calls end, and which errnos."""
    CAPABILITIES = "capabilities"
    PHASES = "phases"
    """Everything counts as `init`."""
    SIGNALS = "signals"
    """What was sent to whom; the calls are seen."""
    STACKS = "stacks"
    """Where in the program something was asked for."""


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a run was recorded, as far as it explains what was seen."""

    kernel: str
    arch: Arch
    recorder: str
    """The backend and the hooks it used, e.g. `bpf (tp_btf; capabilities: tracepoint)`."""
    libc: str = ""
    unseen: tuple[Unseen, ...] = ()


class RunStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the workload ended."""

    exit_status: int | None
    signal: int | None
    timed_out: bool = False
    interrupted: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of a workload and everything that was seen in it, each list sorted."""

    workload: Workload
    host: Host
    harden: str
    """The version of harden that recorded it."""
    status: RunStatus
    perturbation: str = ""
    """The `Perturbation` of its scenario that this run was made with."""
    executables: tuple[ExecutableSeen, ...] = ()
    syscalls: tuple[SyscallSeen, ...] = ()
    arguments: tuple[ArgumentsSeen, ...] = ()
    capabilities: tuple[CapabilitySeen, ...] = ()
    files: tuple[FileSeen, ...] = ()
    sockets: tuple[SocketSeen, ...] = ()
    signals: tuple[SignalSeen, ...] = ()
    ring_operations: tuple[RingOperationSeen, ...] = ()
    mounts: tuple[MountSeen, ...] = ()
    lookups: tuple[LookupSeen, ...] = ()
    changes: tuple[Change, ...] = ()
    gaps: tuple[Gap, ...] = ()
    peaks: dict[str, float] = {}
    """Peak use by name, where it is known: `resource_limit.PeakName`, and `elapsed_s`, `cpu_user_s`, `cpu_system_s`."""

    stacks: Stacks | msgspec.UnsetType = msgspec.UNSET
    """Where in the program things were asked for; not there when no stacks were taken."""

    @property
    def id(self) -> str:
        """The first twelve hexadecimal digits of the SHA-256 of this run's canonical JSON without its evidence.

        Nothing that is made of a run depends on stacks, times and processes.
        """
        return hashlib.sha256(msgspec.json.encode(self.without_evidence(), order="sorted")).hexdigest()[:12]

    def without_evidence(self) -> Run:
        """The same run, as if no stacks had been taken and nothing were known of when and by which process."""
        bare: dict[str, tuple[Seen, ...]] = {kind: tuple(without_evidence(getattr(self, kind))) for kind in _SEEN}
        return msgspec.structs.replace(self, stacks=msgspec.UNSET, **bare)

    def stack(self, number: int) -> tuple[str, ...]:
        """The stack with this number as text, a line per frame, innermost first; empty where it is not known."""
        return () if self.stacks is msgspec.UNSET else self.stacks.describe(number)

    @property
    def serves(self) -> bool:
        """Whether a thread left the phase `init`."""
        return any(Phase.SERVING in seen.phases for seen in self.syscalls)

    @property
    def completeness(self) -> Completeness:
        """The worst of its gaps; incomplete is worse than opaque only where nothing is opaque."""
        kinds = {gap.kind for gap in self.gaps}
        if kinds & OPAQUE:
            return Completeness.OPAQUE
        return Completeness.INCOMPLETE if kinds else Completeness.COMPLETE


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of runs, sorted by their ids."""

    format: Literal["harden-recording/1"] = "harden-recording/1"
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Recording:
        """The recording of these runs, each once."""
        by_id: dict[str, Run] = {}
        for run in runs:
            key = run.id
            by_id[key] = with_evidence(by_id[key], run) if key in by_id else run
        return cls(runs=tuple(by_id[key] for key in sorted(by_id)))

    @property
    def completeness(self) -> Completeness:
        """Opaque or incomplete as soon as one run is."""
        found = {run.completeness for run in self.runs}
        for worst in (Completeness.OPAQUE, Completeness.INCOMPLETE):
            if worst in found:
                return worst
        return Completeness.COMPLETE


def with_evidence(one: Run, other: Run) -> Run:
    """Of two values of the same run the one that has stacks, else the one with times; of two alike, always the same."""
    return one if one == other else max(one, other, key=_evidence)


def _evidence(run: Run) -> tuple[bool, bool, bytes]:
    has_times = any(seen.first_us is not None for kind in _SEEN for seen in getattr(run, kind))
    return run.stacks is not msgspec.UNSET, has_times, msgspec.json.encode(run, order="sorted")


def merge(recordings: Iterable[Recording]) -> Recording:
    """The union of the runs of `recordings`; DocumentError when there is none."""
    runs = [run for recording in recordings for run in recording.runs]
    if not runs:
        raise DocumentError("merge", "no recording holds a run", hint="give at least one file written by harden trace")
    return Recording.of(runs)
