"""What is found around a profile: its recording, its exported files, its program, its age."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

from harden.baseline_source import MergedProfile
from harden.check.case import ExportState, Surroundings
from harden.check.policy_chain import Effective
from harden.errors import HardenError, UnusableInput
from harden.folder import PROFILE_SUFFIX, RECORDING_SUFFIX, ProfileFiles, load_recording
from harden.kernel import atomic_file
from harden.model.coverage import Coverage
from harden.model.denial import Verdict, profile_digest
from harden.model.need import serving_needs
from harden.model.path_text import from_text
from harden.model.policy import Demand, Export
from harden.model.profile import Profile
from harden.model.recording import Recording

__all__ = ["look_around"]


def look_around(path: Path, read: MergedProfile, effective: Effective, today: datetime.date) -> Surroundings:
    """What the checks that are wanted need to know about the profile at `path`."""
    profile = read.merged
    wanted, demand = effective.levels, effective.demand
    date, problem = None, ""
    if "stale-profile" in wanted and demand.max_age_days is not None:
        from harden.git_history import committed

        date, problem = committed(path, today)
    compared = bool({"stale-profile", "rule-without-origin"} & wanted.keys())
    phases = "serving-right" in wanted and bool(demand.forbidden_while_serving)
    counted = "low-coverage" in wanted and demand.min_coverage is not None
    recording = _recording(path) if compared or phases or counted else None
    problem_of_rerun = _problem_of_rerun(path, profile) if "unverified-profile" in wanted else ""
    return Surroundings(
        generated=read.generated,
        regenerated=_regenerated(recording, profile) if recording and compared else None,
        coverage=_coverage(recording) if recording and counted else None,
        serving=serving_needs(recording) if recording and phases else None,
        digest=_digest(profile.workload.program) if "program-changed" in wanted else None,
        committed=date,
        age_problem=problem,
        verified=problem_of_rerun is None,
        verify_problem=problem_of_rerun or "",
        exports=_exports(path, profile, demand) if "stale-export" in wanted else (),
    )


def _problem_of_rerun(path: Path, profile: Profile) -> str | None:
    """Why the result beside the profile does not verify it; empty when there is none, None when it does."""
    verified = ProfileFiles(path.parent, path.name.removesuffix(PROFILE_SUFFIX)).load_verified()
    if verified is None:
        return ""
    if verified.digest != profile_digest(profile):
        return "the result of a rerun beside it is for another version of the profile or of its local file"
    if verified.verdict is Verdict.DENIED:
        return f"the last rerun failed under it: {verified.denials} denial(s)"
    return None


def _recording(path: Path) -> Recording | None:
    recording = path.with_name(path.name.removesuffix(PROFILE_SUFFIX) + RECORDING_SUFFIX)
    return load_recording(recording) if recording.exists() else None


def _regenerated(recording: Recording, profile: Profile) -> Profile:
    from harden.profile_source import profile_of

    return profile_of(recording, name=profile.name)


def _coverage(recording: Recording) -> tuple[Coverage, ...]:
    from harden.generate.coverage import coverage_of

    return coverage_of(recording)


def _digest(program: str) -> str | None:
    """The digest of a program on this machine; None where it is not there or not readable."""
    try:
        data = atomic_file.read(Path(from_text(program).decode("utf-8", "surrogateescape")))
    except (HardenError, ValueError):
        return None
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _exports(path: Path, profile: Profile, demand: Demand) -> tuple[ExportState, ...]:
    return tuple(_export(path, profile, export) for export in demand.exports)


def _export(path: Path, profile: Profile, export: Export) -> ExportState:
    from harden.render.formats import FORMATS

    if export.format not in FORMATS:
        raise UnusableInput(f"policy: unknown export format {export.format!r}", hint=f"one of {', '.join(FORMATS)}")
    file = path.parent / export.file.replace("{name}", profile.name)
    if not file.exists():
        return ExportState(file=str(file), format=export.format, problem="is missing")
    same = atomic_file.read(file) == FORMATS[export.format].render(profile).content
    return ExportState(file=str(file), format=export.format, problem="" if same else "differs from the profile")
