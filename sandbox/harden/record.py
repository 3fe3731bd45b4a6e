"""The recording workflow: start a program isolated, watch it, and write its recording and profile."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Final

import msgspec

from harden.attend import Attendance, attend, program_streams
from harden.backend import begin
from harden.ending import reason_to_keep, status_of
from harden.folder import ProfileFiles, require_folder
from harden.folder_guard import check_folder, check_results, guards, shown_writable
from harden.generate.redact import redact_run, redact_workload
from harden.kernel.program import find
from harden.launch.rootfs import find_in_root, host_path
from harden.model.backend import Backend
from harden.model.capability import Capability
from harden.model.control import DEFAULT_REQUIREMENTS, Control, Requirement
from harden.model.isolation import Isolation
from harden.model.path_text import to_text
from harden.model.recording import Recording, Run, RunStatus, merge
from harden.model.sandbox import Bind, NetworkMode, SandboxSpec, UserNamespaceMode, View
from harden.model.scenario import Perturbation, Scenario
from harden.model.scenario import Ready as Readiness
from harden.model.workload import Workload
from harden.perturbation import check_perturbation, resolver_without_server
from harden.profile_source import generate_from
from harden.stored_options import HOST_NAME, stored, stored_binds
from harden.trace import Progress, build_run
from harden.trace.executables import build_id, digest
from harden.way import way_to_be

__all__ = ["STORED_VALUES", "Trace", "TraceRequest", "record"]

STORED_VALUES: Final = frozenset({"LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "PATH", "TZ"})
"""Environment variables whose values a recording keeps; of all others only the names, because the file is committed."""

_SHOWN_COMMAND: Final = 200
_NOT_WHILE_RECORDING: Final = (Control.SECCOMP, Control.LANDLOCK, Control.APPARMOR)


class TraceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `harden trace` was asked for; everything has the default of the command line."""

    command: tuple[str, ...]
    folder: Path
    name: str | None = None
    network: NetworkMode = NetworkMode.NONE
    user_namespace: UserNamespaceMode = UserNamespaceMode.SHIFTED
    view: View = View.HOST
    binds: tuple[Bind, ...] = ()
    commit: Path | None = None
    capabilities: frozenset[Capability]
    named_capabilities: frozenset[Capability] = frozenset()
    """Those of them that were asked for by name."""
    backend: Backend = Backend.AUTO
    one_cpu: bool = False
    environment: dict[str, str]
    stored_values: frozenset[str] = STORED_VALUES
    stacks: bool = True
    """Also record the user stack of the first time of everything, where the backend can."""
    cwd: str
    user: str = ""
    """Whom `uid` and `gid` were taken from, by name."""
    uid: int | None = None
    gid: int | None = None
    hostname: str | None = None
    isolation: Isolation = Isolation()
    timeout_s: float | None = None
    scenario: Scenario | None = None
    ready: Readiness | None = None
    """When the phase `serving` begins; None: the scenario's, else where each thread first waits for requests."""
    scenario_path: str = ""
    perturbation: Perturbation | None = None
    redact: tuple[str, ...] = ()
    """Regular expressions: what matches is masked before anything is written."""
    allow_degraded: frozenset[Control] = frozenset()
    allow_incomplete: bool = False
    force: bool = False


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the runs, the files that were written (or why not), and the status to end with."""

    runs: tuple[Run, ...]
    """In the order they were made; the last is the one after which nothing was written, if that is so."""
    files: ProfileFiles
    written: bool
    reason: str
    """Why nothing was written; empty when it was."""
    recording: Recording
    notes: tuple[str, ...]
    status: int


def record(
    requests: Sequence[TraceRequest],
    *,
    tell: Callable[[str], None],
    watch: Callable[[Callable[[], Progress]], AbstractContextManager[object]] = nullcontext,
) -> Trace:
    """Trace one run of the program per request and write NAME.recording.json and NAME.profile.toml.

    The requests say the same of the files. A run after which existing files must not be replaced is the last one.
    `tell` gets one line per thing that a person waits for; `watch` is entered while a program runs, with a function
    that tells how far its recording is. Raises ControlUnavailable, ProgramNotFound, NotExecutable, or HardenError when
    the recorder cannot work; nothing is written then.
    """
    first = requests[0]
    for request in requests:
        check_perturbation(request.perturbation)
    program = _program(first)
    files = ProfileFiles.named(first.folder, Path(program).name if first.name is None else first.name)
    _check_places(first, _spec(first, program))
    require_folder(first.folder)
    # What cannot be added to is found out before anything is recorded.
    files.load_recording()
    runs: list[Run] = []
    notes: dict[str, None] = {}
    reason = ""
    for request in requests:
        spec = _spec(request, _program(request))
        # What is written now would be the profile of the next run: the program must not be able to make it.
        guarded = guards(request.folder, spec, inside=False, make_missing=False)
        run, its_notes = _run(request, msgspec.structs.replace(spec, binds=(*spec.binds, *guarded)), tell, watch)
        runs.append(run)
        notes |= dict.fromkeys(its_notes)
        reason = reason_to_keep(run, files, force=request.force)
        if reason or run.status.interrupted:
            break
    with files.alone():
        # Another trace of the same name may have added its runs meanwhile.
        earlier = files.load_recording()
        recording = merge([*([earlier] if earlier else []), Recording.of(runs)])
        if not reason:
            files.save_recording(recording)
            files.save_profile(generate_from(recording, name=files.name))
    statuses = [status_of(run, allow_incomplete=first.allow_incomplete) for run in runs]
    return Trace(
        runs=tuple(runs),
        files=files,
        written=not reason,
        reason=reason,
        recording=recording,
        notes=tuple(notes),
        status=next((status for status in statuses if status), 0),
    )


def _check_places(request: TraceRequest, spec: SandboxSpec) -> None:
    """Whatever the program does, and whatever it did, is written where the request says: before anything is made."""
    shown = shown_writable(spec.writable, spec.binds, rootfs=spec.isolation.rootfs)
    check_folder(way_to_be(request.folder), shown, inside=False)
    if request.commit is not None:
        check_results([way_to_be(request.commit)], shown)


def _program(request: TraceRequest) -> str:
    name, path, rootfs = request.command[0], request.environment.get("PATH"), request.isolation.rootfs
    if rootfs is not None:
        return find_in_root(name, rootfs=rootfs, cwd=request.cwd, path=path)
    return find(name, cwd=request.cwd, path=path or os.defpath)


def _spec(request: TraceRequest, program: str) -> SandboxSpec:
    return SandboxSpec(
        program=os.fsencode(program),
        argv=tuple(os.fsencode(argument) for argument in request.command),
        environment=tuple(os.fsencode(f"{name}={value}") for name, value in request.environment.items()),
        cwd=os.fsencode(request.cwd),
        view=request.view,
        network=request.network,
        user_namespace=request.user_namespace,
        uid=request.uid,
        gid=request.gid,
        binds=request.binds,
        capabilities=frozenset(int(capability) for capability in request.capabilities),
        hostname=request.hostname or HOST_NAME,
        isolation=request.isolation,
        timeout_s=request.timeout_s,
        commit=os.fsencode(request.commit) if request.commit else None,
        requirements={**DEFAULT_REQUIREMENTS, **dict.fromkeys(_NOT_WHILE_RECORDING, Requirement.OFF)},
        allow_degraded=request.allow_degraded,
    )


def _run(
    request: TraceRequest,
    spec: SandboxSpec,
    tell: Callable[[str], None],
    watch: Callable[[Callable[[], Progress]], AbstractContextManager[object]],
) -> tuple[Run, tuple[str, ...]]:
    """Start, watch and end the program; the run, and what the user should know of the sandbox it ran in."""
    attendance = Attendance(
        scenario=request.scenario,
        ready=request.ready,
        perturbation=request.perturbation,
        environment=request.environment,
        cwd=spec.cwd,
    )
    with ExitStack() as stack:
        shown = stack.enter_context(resolver_without_server(request.perturbation))
        spec = msgspec.structs.replace(spec, binds=(*spec.binds, *shown))
        output = program_streams(attendance, stack, tell)
        begun = begin(
            request.backend,
            spec,
            stack,
            named_capabilities=request.named_capabilities,
            streams=(output.stdin, output.writer, output.writer) if output else (None, None, None),
            one_cpu=request.one_cpu,
            is_ready_told=attendance.readiness is not None,
            stacks=request.stacks,
            tell=tell,
        )
        if output:
            output.close_writer()
        sandbox, recorder, workload = begun.sandbox, begun.recorder, _workload(request, begun.plan.spec)
        tell(f"recording {_shortened(redact_workload(workload, request.redact).argv)}")
        with watch(recorder.progress):
            outcome, interrupted = attend(
                attendance,
                sandbox,
                gate=begun.ready,
                output=output,
                recorder=recorder,
                tell=tell,
            )
        observations = recorder.stop()
    run = build_run(
        observations,
        workload=workload,
        status=RunStatus(
            exit_status=outcome.exit_status,
            signal=outcome.signal,
            timed_out=outcome.timed_out,
            interrupted=interrupted,
        ),
        changes=outcome.changes,
        peaks=outcome.usage.peaks(),
        perturbation=request.perturbation or "",
        resolve=lambda path: _host_file(path, spec.isolation.rootfs),
    )
    notes = (*begun.plan.notes, *sandbox.notes, *outcome.usage.limits_reached())
    return redact_run(run, request.redact), notes


def _shortened(argv: tuple[str, ...]) -> str:
    """The command as one short line, without the secrets that would be masked in the file."""
    text = " ".join(argv)
    return text if len(text) <= _SHOWN_COMMAND else f"{text[:_SHOWN_COMMAND]}…"


def _workload(request: TraceRequest, spec: SandboxSpec) -> Workload:
    content = Path(os.fsdecode(_host_file(spec.program, spec.isolation.rootfs) or spec.program)).read_bytes()
    return Workload(
        program=to_text(spec.program),
        digest=digest(content),
        build_id=build_id(content),
        argv=tuple(to_text(argument) for argument in spec.argv),
        cwd=to_text(spec.cwd),
        environment=tuple(to_text(os.fsencode(name)) for name in sorted(request.environment)),
        environment_values={
            to_text(os.fsencode(name)): to_text(os.fsencode(request.environment[name]))
            for name in sorted(request.environment)
            if name in request.stored_values
        },
        user=request.user,
        uid=request.uid,
        gid=request.gid,
        network=request.network,
        user_namespace=request.user_namespace,
        view=request.view,
        binds=stored_binds(request.binds),
        capabilities=tuple(sorted(Capability(number).name for number in spec.capabilities)),
        isolation=stored(request.isolation, request.hostname),
        scenario=to_text(os.fsencode(request.scenario_path)),
    )


def _host_file(path: bytes, rootfs: bytes | None) -> bytes | None:
    """The host's file at a path of the view: what is no regular file there cannot be what the program ran."""
    if rootfs is not None:
        path = host_path(path, rootfs) or b""
    return path if stat.S_ISREG(_mode(path)) else None


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
