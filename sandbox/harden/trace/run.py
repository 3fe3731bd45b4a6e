"""From observations to a Run of the recording."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import msgspec

import harden
from harden.model.outcome import Change
from harden.model.recording import ExecutableSeen, FileSeen, Gap, GapKind, Host, Run, RunStatus, Unseen
from harden.model.resource_limit import PeakName
from harden.model.seen import without_evidence
from harden.model.workload import Workload
from harden.trace.decode import (
    ABI_NATIVE,
    decode_arguments,
    decode_capabilities,
    decode_programs,
    decode_syscalls,
)
from harden.trace.decode_actions import decode_ring_operations, decode_signals
from harden.trace.decode_files import decode_files
from harden.trace.decode_gaps import decode_gaps
from harden.trace.decode_lookups import decode_lookups
from harden.trace.decode_mounts import decode_mounts
from harden.trace.decode_sockets import decode_sockets, socket_paths
from harden.trace.decode_stacks import decode_stacks
from harden.trace.executables import Resolve, describe_executables
from harden.trace.observations import Observations
from harden.trace.script import describe_interpreters

__all__ = ["build_run", "host_of"]


def host_of(observations: Observations) -> Host:
    """This machine, as far as it explains what was seen."""
    library, version = platform.libc_ver()
    return Host(
        kernel=platform.release(),
        arch=observations.arch,
        recorder=observations.recorder,
        libc=f"{library} {version}".strip(),
        unseen=observations.unseen,
    )


def build_run(
    observations: Observations,
    *,
    workload: Workload,
    status: RunStatus,
    host: Host | None = None,
    changes: Sequence[Change] = (),
    peaks: Mapping[str, float] | None = None,
    perturbation: str = "",
    resolve: Resolve | None = None,
) -> Run:
    """The run that these observations and circumstances are. The same observations give the same value.

    `resolve` gives the host file for a path of the sandbox, for digests and build ids; without it they stay empty.
    """
    stacks, numbers = decode_stacks(observations.stacks, resolve)
    observations = msgspec.structs.replace(observations, stack_numbers=numbers)
    programs = decode_programs(observations.events)
    paths = socket_paths(observations.events)
    through, scripts = describe_interpreters(programs.values(), resolve)
    files = _with_through(decode_files(observations, programs, paths), through)
    gaps = decode_gaps(observations, programs)
    if status.interrupted:
        gaps = tuple(sorted((*gaps, Gap(kind=GapKind.INTERRUPTED, detail="the recording was interrupted"))))
    return Run(
        workload=workload,
        host=host_of(observations) if host is None else host,
        harden=harden.__version__,
        status=status,
        executables=_with_scripts(describe_executables(programs, files, resolve), scripts),
        syscalls=decode_syscalls(observations, programs),
        arguments=decode_arguments(observations, programs),
        capabilities=decode_capabilities(observations, programs),
        files=files,
        sockets=decode_sockets(observations, programs, paths),
        signals=decode_signals(observations, programs),
        ring_operations=decode_ring_operations(observations, programs),
        mounts=decode_mounts(observations, programs),
        lookups=decode_lookups(observations, programs),
        changes=tuple(changes),
        gaps=gaps,
        perturbation=perturbation,
        peaks={**_peaks(observations), **(peaks or {})},
        stacks=msgspec.UNSET if Unseen.STACKS in observations.unseen else stacks,
    )


def _with_through(files: tuple[FileSeen, ...], through: tuple[FileSeen, ...]) -> tuple[FileSeen, ...]:
    """Both, sorted, and what is in both once."""
    if not through:
        return files
    known = set(without_evidence(files))
    return tuple(sorted((*files, *(file for file in through if file not in known))))


def _peaks(observations: Observations) -> dict[str, float]:
    """What the process tree tells; a cgroup that counts knows better. Calls of other ABIs are not looked into."""
    found = {PeakName.PIDS: observations.tasks_peak}
    if all(key.abi == ABI_NATIVE for key in observations.counts):
        found[PeakName.OPEN_FILES] = observations.descriptors_peak
        found[PeakName.OPEN_FILES_ASKED] = observations.descriptors_asked
    return {name.value: float(value) for name, value in found.items() if value}


def _with_scripts(
    executables: tuple[ExecutableSeen, ...], scripts: tuple[ExecutableSeen, ...]
) -> tuple[ExecutableSeen, ...]:
    """Both, sorted by path; what ran by itself too is described by that."""
    by_path = {seen.path: seen for seen in (*scripts, *executables)}
    return tuple(by_path[path] for path in sorted(by_path))
