"""The verifying workflow: the workload again, under the very sandbox and filter of `harden run`, with the recorder
attached; what was refused comes back as denials."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from harden.apparmor_watch import watching
from harden.backend import attach_for_refusals
from harden.enforce import Prepared, enforcement, load
from harden.errors import HardenError, NotExecutable, ProgramNotFound
from harden.folder import ProfileFiles
from harden.generate.apparmor_log import AppArmorLog
from harden.generate.denial import denials_of
from harden.generate.denied_file import hidden_candidates, refused_paths
from harden.generate.denied_limit import Held
from harden.generate.history import History
from harden.kernel import atomic_file
from harden.launch.spawn import Ready, Sandbox, start
from harden.launch.symlinks import has_links
from harden.model.capability import Capability
from harden.model.control import Control, Enforcement
from harden.model.denial import Verdict, Verification, Verified, profile_digest
from harden.model.document import parse_toml
from harden.model.outcome import Enforced, Outcome, Usage
from harden.model.path_text import from_text
from harden.model.profile import Profile
from harden.model.recording import GapKind, Run, RunStatus
from harden.model.scenario import SCENARIO_FORMAT, Scenario
from harden.output_watch import OutputWatch
from harden.scenario_run import ScenarioFailed, drive
from harden.signal_relay import forwarding
from harden.trace import Observations, build_run
from harden.trace.decode_refusals import decode_refusals
from harden.way import way_to

__all__ = ["Rerun", "Trial", "VerifyRequest", "open_rerun", "save_verified"]

_LOSSES: Final = frozenset({GapKind.LOST_EVENTS, GapKind.LIMIT_REACHED, GapKind.UNREADABLE_PATH})


class VerifyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to run again, and how."""

    files: ProfileFiles
    scenario: Path | None = None
    """None: the one that the workload was recorded with, if any."""
    caller_environment: Mapping[str, str]
    timeout_s: float | None = None
    allow_degraded: frozenset[Control] = frozenset()
    trust: bool = False


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the workload without the recorder."""

    failure: str
    """What went otherwise than when it was recorded; empty when nothing."""
    output: str
    """Digest of everything that the program printed."""


class _Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: one of the two is there."""

    outcome: Outcome | None
    failure: str
    """What the program or its scenario did wrong before its status even counts."""
    log: AppArmorLog = AppArmorLog()
    unlogged: tuple[str, ...] = ()
    """What is missing from `log`."""


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that can be run again and again, under one profile or another."""

    request: VerifyRequest
    profile: Profile
    """With the user's own file merged in."""
    history: History
    scenario: Scenario | None
    scenario_path: Path | None

    def verify(self, *, tell: Callable[[str], None]) -> Verification:
        """Run the workload once under its profile, recorded. Raises HardenError when it cannot be judged."""
        prepared = self._prepare(self.profile)
        for note in prepared.notes:
            tell(note)
        ending, observations = self._run(prepared, tell=tell)
        assert observations is not None
        run = _run_of(self.profile, ending, observations)
        enforced = ending.outcome.enforced if ending.outcome else None
        rootfs = from_text(self.profile.workload.isolation.rootfs)
        hidden = hidden_candidates(run, self.history)
        on_host = frozenset(path for path in hidden if os.path.lexists(rootfs + from_text(path)))
        linked = frozenset(path for path in refused_paths(run) if has_links(from_text(path), rootfs))
        return Verification(
            profile=self.profile.name,
            digest=profile_digest(self.profile),
            run=run.id,
            exit_status=run.status.exit_status,
            signal=run.status.signal,
            timed_out=run.status.timed_out,
            failure=self._failure(ending),
            enforced=enforced.result if enforced else Enforcement.NOT_ENFORCED,
            not_enforced=_not_enforced(enforced),
            lost=(
                *(f"{gap.kind}: {gap.detail} (x{gap.count})" for gap in run.gaps if gap.kind in _LOSSES),
                *ending.unlogged,
            ),
            denials=denials_of(
                run,
                decode_refusals(observations),
                profile=self.profile,
                history=self.history,
                on_host=on_host,
                linked=linked,
                in_force=_in_force(enforced),
                held=Held(
                    in_force=_in_force(enforced),
                    given=prepared.plan.spec.isolation.given_limits(),
                    usage=ending.outcome.usage if ending.outcome else Usage(),
                ),
                log=ending.log,
            ),
        )

    def attempt(self, profile: Profile) -> Trial:
        """Run the workload under another profile, and keep what it prints to itself."""
        with tempfile.TemporaryFile() as printed:
            ending, _ = self._run(self._prepare(profile), tell=lambda _line: None, printed=printed)
            printed.seek(0)
            return Trial(failure=self._failure(ending), output=hashlib.file_digest(printed, "sha256").hexdigest())

    def _prepare(self, profile: Profile) -> Prepared:
        try:
            return enforcement(
                profile,
                folder=self.request.files.folder,
                # The stored scenario goes with the stored workload; one that is given has a command of its own.
                command=self.scenario.command if self.scenario and self.request.scenario else (),
                caller_environment=self.request.caller_environment,
                environment={},
                timeout_s=self.request.timeout_s,
                allow_degraded=self.request.allow_degraded,
                # Its helper commands are under no filter: the program must not be able to write them.
                results=(way_to(self.scenario_path).to_covered(),) if self.scenario_path else (),
            )
        except (ProgramNotFound, NotExecutable) as error:
            raise HardenError(error.message, hint=error.hint) from None

    def _run(
        self, prepared: Prepared, *, tell: Callable[[str], None], printed: BinaryIO | None = None
    ) -> tuple[_Ending, Observations | None]:
        """Recorded, unless all that the program prints is to go to `printed`."""
        with ExitStack() as stack:
            output = self._watch(stack, printed, tell)
            writer = output.writer if output else sys.stderr.fileno()
            sandbox = stack.enter_context(start(prepared.plan, stdout=writer, stderr=writer))
            if output:
                output.close_writer()
            # A helper gets what it had while the program was recorded, not the little that the program got by with.
            sandbox.helper_capabilities = frozenset(
                int(Capability[name]) for name in (*self.profile.workload.capabilities, *_held(prepared.profile))
            )
            ready = sandbox.ready()
            recorder = None
            if printed is None:
                recorder = stack.enter_context(attach_for_refusals(ready))
                watch = stack.enter_context(watching(prepared.plan.spec.apparmor, tell))
            ending = self._attend(sandbox, ready, output, tell)
            if recorder is None:
                return ending, None
            log, unlogged = watch.stop()
            return msgspec.structs.replace(ending, log=log, unlogged=unlogged), recorder.stop()

    def _watch(self, stack: ExitStack, printed: BinaryIO | None, tell: Callable[[str], None]) -> OutputWatch | None:
        text = self.scenario.ready.text if self.scenario and self.scenario.ready else None
        if text is None and printed is None:
            return None
        streams = OutputWatch(text, sys.stderr.buffer if printed is None else printed)
        stack.callback(*((streams.settle, tell) if printed is None else (streams.settle_whole,)))
        return streams

    def _attend(
        self, sandbox: Sandbox, ready: Ready, output: OutputWatch | None, tell: Callable[[str], None]
    ) -> _Ending:
        spec, failure = sandbox.plan.spec, ""
        variables = dict(os.fsdecode(entry).split("=", 1) for entry in spec.environment)
        with forwarding(sandbox) as received:
            sandbox.open_gate()
            try:
                if self.scenario:
                    drive(
                        self.scenario,
                        sandbox,
                        init_pid=ready.init_pid,
                        environment=variables,
                        cwd=spec.cwd,
                        output=output,
                        ready=self.scenario.ready,
                        when_ready=_nothing_to_do,
                        tell=tell,
                    )
            except ScenarioFailed as error:
                failure = error.message
                sandbox.signal(signal.SIGKILL)
            while not sandbox.poll():
                select.select([sandbox], [], [])
        try:
            outcome = sandbox.wait()
        except (ProgramNotFound, NotExecutable) as error:
            return _Ending(outcome=None, failure=f"the program did not start: {error.message}")
        if received:
            raise HardenError(f"ended by {signal.Signals(received[0]).name}: nothing is proven")
        return _Ending(outcome=outcome, failure=failure)

    def _failure(self, ending: _Ending) -> str:
        if ending.failure or ending.outcome is None:
            return ending.failure
        outcome = ending.outcome
        if outcome.timed_out:
            return "the program ran into --timeout"
        found = (outcome.exit_status, outcome.signal)
        if found in self.history.endings or found == (0, None):
            return ""
        usual = " or ".join(sorted(_ending(*each) for each in self.history.endings or {(0, None)}))
        return f"the program ended with {_ending(*found)}, not with {usual}"


def open_rerun(request: VerifyRequest) -> Rerun:
    """The stored workload with its profile, its recording if there is one, and its scenario."""
    profile = load(request.files, trust=request.trust)
    path = request.scenario or _stored_scenario(profile, request.files.folder)
    return Rerun(
        request=request,
        profile=profile,
        history=History(request.files.load_recording()),
        scenario=_load_scenario(path, trust=request.trust) if path else None,
        scenario_path=path,
    )


def save_verified(files: ProfileFiles, verification: Verification) -> None:
    """Keep the result beside the profile, unless nothing was proven."""
    if verification.verdict is not Verdict.UNKNOWN:
        files.save_verified(
            Verified(
                profile=verification.profile,
                digest=verification.digest,
                verdict=verification.verdict,
                denials=len(verification.denials),
                not_enforced=verification.not_enforced,
            )
        )


def _held(profile: Profile) -> tuple[str, ...]:
    return tuple(each.name for each in profile.rights.all_capabilities())


def _stored_scenario(profile: Profile, folder: Path) -> Path | None:
    """Stored as it was given to `trace`: looked for from the profile's folder, never from the program's own."""
    if not profile.workload.scenario:
        return None
    found = folder / os.fsdecode(from_text(profile.workload.scenario))
    if not found.exists():
        raise HardenError(
            f"the scenario {found} that the workload was recorded with is not there",
            hint="give it with --scenario FILE",
        )
    return found


def _load_scenario(path: Path, *, trust: bool) -> Scenario:
    """Trusted like a profile: its helper commands run under no filter."""
    return parse_toml(atomic_file.read_trusted(path, trust=trust), Scenario, format=SCENARIO_FORMAT, file=str(path))


def _run_of(profile: Profile, ending: _Ending, observations: Observations) -> Run:
    outcome = ending.outcome
    status = RunStatus(
        exit_status=outcome.exit_status if outcome else None,
        signal=outcome.signal if outcome else None,
        timed_out=outcome.timed_out if outcome else False,
    )
    return build_run(observations, workload=profile.workload, status=status)


def _in_force(enforced: Enforced | None) -> frozenset[Control]:
    states = enforced.controls if enforced else ()
    return frozenset(each.control for each in states if each.enforcement is not Enforcement.NOT_ENFORCED)


def _not_enforced(enforced: Enforced | None) -> tuple[str, ...]:
    states = enforced.controls if enforced else ()
    return tuple(
        f"{each.control}: {each.reason or each.enforcement}"
        for each in states
        if each.enforcement is not Enforcement.FULLY_ENFORCED
    )


def _ending(exit_status: int | None, number: int | None) -> str:
    return f"status {exit_status}" if number is None else signal.Signals(number).name


def _nothing_to_do() -> None:
    """Denials have no phase."""
