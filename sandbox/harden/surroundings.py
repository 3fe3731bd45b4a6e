"""What is found around a profile: its recording, its exported files, its program, its age."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

from harden.baseline_source import MergedProfile
from harden.check.case import ExportState, Surroundings
from harden.check.policy_chain import Effective
from harden.errors import HardenError, UnusableInput
from harden.folder import PROFILE_SUFFIX, RECORDING_SUFFIX, load_recording
from harden.kernel import atomic_file
from harden.model.path_text import from_text
from harden.model.policy import Demand, Export
from harden.model.profile import Profile

__all__ = ["look_around"]


def look_around(path: Path, read: MergedProfile, effective: Effective, today: datetime.date) -> Surroundings:
    """What the checks that are wanted need to know about the profile at `path`."""
    profile = read.merged
    wanted, demand = effective.levels, effective.demand
    date, problem = None, ""
    if "stale-profile" in wanted and demand.max_age_days is not None:
        from harden.git_history import committed

        date, problem = committed(path, today)
    return Surroundings(
        generated=read.generated,
        regenerated=_regenerated(path, profile) if {"stale-profile", "rule-without-origin"} & wanted.keys() else None,
        digest=_digest(profile.workload.program) if "program-changed" in wanted else None,
        committed=date,
        age_problem=problem,
        exports=_exports(path, profile, demand) if "stale-export" in wanted else (),
    )


def _regenerated(path: Path, profile: Profile) -> Profile | None:
    recording = path.with_name(path.name.removesuffix(PROFILE_SUFFIX) + RECORDING_SUFFIX)
    if not recording.exists():
        return None
    from harden.profile_source import profile_of

    return profile_of(load_recording(recording), name=profile.name)


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
