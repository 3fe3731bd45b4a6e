"""`harden check` without its command line: finds and reads everything, and has it judged."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from harden.baseline_source import BaselineSource, local_of, merged_profile, open_baseline
from harden.check.engine import Input, run_checks
from harden.check.finding import Note, Report
from harden.check.location import ProfileLocator
from harden.check.policy_chain import PolicyChain
from harden.check.profile_subject import profile_subject
from harden.check.subject import Subject
from harden.errors import DocumentError, UnusableInput
from harden.folder import PROFILE_SUFFIX, ProfileFiles
from harden.input_file import placed, read_input
from harden.model.diff import added_rights
from harden.model.path_text import to_text
from harden.model.profile import Profile
from harden.model.severity import Severity
from harden.policy_source import load_policy
from harden.surroundings import look_around
from harden.unusable import unusable

__all__ = ["Judgement", "judge", "update_baselines"]

_SKIPPED: Final = frozenset({".git"})


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and what the next step needs."""

    report: Report
    grown: bool = False
    """Something has grown that no waiver accepts, so `update_baselines` will write nothing."""
    baseline: BaselineSource | None = None
    """Where `update_baselines` writes; None when that was not asked for."""
    profiles: Mapping[Path, Profile] = {}
    inputs: tuple[Path, ...] = ()
    """Every file that was named or belongs to one, whether or not it is there."""


def judge(
    names: Sequence[Path],
    *,
    policy: str,
    baseline: str | None,
    update: bool,
    fail_on: Severity,
    today: datetime.date,
    attacks: bool = False,
) -> Judgement:
    """Check `names`, of which a folder stands for every profile below it, or every profile below the current folder.

    UnusableInput for what cannot be judged.

    `attacks` adds the known-attack view of each as notes.
    """
    with unusable():
        chain = load_policy(policy)
        source = None if baseline is None else open_baseline(baseline, may_be_new=update)
        files = _distinct(_named(names, source)) if names else _below(Path(), source)
        inputs = tuple(_read(path, chain, source, today) for path in files)
        notes = _attack_notes(inputs) if attacks else ()
        report = _report(inputs, chain, today=today, fail_on=fail_on, whole=not names, notes=notes)
        profiles = {
            path: each.subject.profile for path, each in zip(files, inputs, strict=True) if each.subject.profile
        }
        if update:
            _demand_place(source, profiles)
    return Judgement(
        report=report,
        grown=_grown(inputs, report),
        baseline=source if update else None,
        profiles=profiles,
        inputs=(
            *_all_of(files),
            *(Path(each.source.file) for each in chain.files),
            *map(Path, filter(None, [baseline])),
        ),
    )


def update_baselines(judgement: Judgement) -> tuple[Path, ...]:
    """Write what got smaller, or was not there, as the new baseline; the files that were written."""
    if judgement.baseline is None or judgement.grown:
        return ()
    with unusable():
        written = [judgement.baseline.update(path, profile) for path, profile in judgement.profiles.items()]
    return tuple(path for path in written if path is not None)


def _demand_place(source: BaselineSource | None, profiles: Mapping[Path, Profile]) -> None:
    if source is None:
        raise UnusableInput("--update-baseline needs --baseline FILE", hint="a folder holds those of several profiles")
    source.demand_place(profiles)


def _grown(inputs: Sequence[Input], report: Report) -> bool:
    """Whether a right came that no waiver accepts, whatever the policy says of the check `growth`."""
    accepted = {(each.finding.profile, each.finding.subject) for each in report.waived if each.finding.id == "growth"}
    return any(
        (each.subject.name, change.right) not in accepted
        for each in inputs
        if each.around.baseline is not None and each.subject.profile is not None
        for change in added_rights(each.around.baseline, each.subject.profile)
    )


def _report(
    inputs: Sequence[Input],
    chain: PolicyChain,
    *,
    today: datetime.date,
    fail_on: Severity,
    whole: bool,
    notes: tuple[Note, ...],
) -> Report:
    try:
        return run_checks(inputs, chain, today=today, fail_on=fail_on, whole=whole, notes=notes)
    except DocumentError as error:
        source = next((each.source for each in chain.files if each.source.file == error.file), None)
        raise placed(error, source) from None


def _attack_notes(inputs: Sequence[Input]) -> tuple[Note, ...]:
    from harden.check.attack import attack_view
    from harden.check.attack_table import shipped_attack_tables
    from harden.check.attack_text import attack_note

    tables = shipped_attack_tables()
    return tuple(attack_note(attack_view(each.subject, table)) for each in inputs for table in tables)


def _named(names: Sequence[Path], source: BaselineSource | None) -> Iterator[Path]:
    for name in names:
        if name.is_dir():
            yield from _below(name, source)
        else:
            yield name


def _distinct(names: Iterable[Path]) -> tuple[Path, ...]:
    """The files in the order of their names, each once: the order of arguments changes no byte of a report.

    Below the current folder they are relative to it, which is what the globs of a policy mean.
    """
    here = Path().absolute()
    found = {Path(os.path.normpath(name)) for name in names}
    return tuple(sorted({path.relative_to(here) if path.is_relative_to(here) else path for path in found}))


def _all_of(files: Iterable[Path]) -> Iterator[Path]:
    for path in files:
        yield path
        if path.name.endswith(PROFILE_SUFFIX):
            yield from ProfileFiles(path.parent, path.name.removesuffix(PROFILE_SUFFIX)).all


def _below(top: Path, source: BaselineSource | None) -> tuple[Path, ...]:
    found = []
    for folder, folders, names in os.walk(top, onerror=_refuse):
        folders[:] = sorted(set(folders) - _SKIPPED)
        found += [Path(folder, name) for name in names if name.endswith(PROFILE_SUFFIX)]
    kept = sorted(path for path in found if source is None or not source.covers(path))
    if not kept:
        raise UnusableInput(
            f"no *{PROFILE_SUFFIX} below {top.absolute()}",
            hint="name the files to check, or make a profile with `harden trace`",
        )
    return tuple(kept)


def _refuse(error: OSError) -> None:
    raise UnusableInput(f"{error.filename}: cannot be searched for profiles: {error.strerror}")


def _read(path: Path, chain: PolicyChain, source: BaselineSource | None, today: datetime.date) -> Input:
    file = to_text(os.fsencode(path))
    if not path.name.endswith(PROFILE_SUFFIX):
        return Input(subject=_foreign(path, file))
    local = local_of(path)
    additions = read_input(local) if local.exists() else None
    read = merged_profile(read_input(path), file, additions)
    profile = read.merged
    subject = profile_subject(profile, file=file, locator=ProfileLocator(read.source, read.local_source))
    around = look_around(path, read, chain.for_subject(subject), today)
    if source is not None:
        around = msgspec.structs.replace(around, baseline=source.find(path, profile), baseline_name=source.name)
    return Input(subject=subject, around=around)


def _foreign(path: Path, file: str) -> Subject:
    from harden.check.foreign import read_foreign
    from harden.check.foreign.systemd_syscalls import parse_syscall_groups

    data = read_input(path)
    groups = parse_syscall_groups(_syscall_groups()) if b"SystemCallFilter" in data and b"@" in data else None
    try:
        return read_foreign(data, file, syscall_groups=groups)
    except RecursionError:
        raise UnusableInput(f"{file}: is nested too deeply") from None


def _syscall_groups() -> str:
    """What systemd's @groups hold on this machine; nothing where there is no systemd, and then they are opaque."""
    import shutil
    import subprocess

    program = shutil.which("systemd-analyze")
    if program is None:
        return ""
    done = subprocess.run(
        [program, "--no-pager", "syscall-filter"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout if done.returncode == 0 else ""
