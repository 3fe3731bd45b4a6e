"""Subjects for the tests of checks, small enough to read."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec

from harden.bpf.action import ALLOW, ENOSYS
from harden.check.case import Case, Hit, Surroundings
from harden.check.location import ProfileLocator, TomlSource
from harden.check.profile_subject import profile_subject
from harden.check.registry import CHECKS
from harden.check.subject import Reach, Subject, SubjectKind
from harden.model.arch import Arch
from harden.model.coverage import Coverage
from harden.model.policy import Demand
from harden.model.profile import Profile
from harden.render.profile_toml import render_profile

TODAY = datetime.date(2026, 6, 15)
FILE = "app.profile.toml"


def profile(**changes: Any) -> Profile:
    """A profile of /usr/bin/app that may read and write descriptors and nothing else; `rights` and others replace."""
    rights = {"architectures": ["x86_64"], "syscalls": {"observed": ["read", "write", "exit_group"]}}
    document: dict[str, Any] = {
        "format": "harden-profile/1",
        "name": changes.pop("name", "app"),
        "generated": {"harden": "0", "runs": ["a" * 12], "completeness": "complete", **changes.pop("generated", {})},
        "workload": {
            "program": "/usr/bin/app",
            "digest": "sha256:" + "0" * 64,
            "argv": ["app"],
            "cwd": "/",
            **changes.pop("workload", {}),
        },
        "rights": {**rights, **changes.pop("rights", {})},
        **changes,
    }
    return msgspec.convert(document, Profile)


def calls(*names: str, arguments: dict[str, list[list[str]]] | None = None, **rights: Any) -> Profile:
    """A profile that has been seen to make `names`, with these combinations of arguments."""
    ruled = {name: {"observed": rows} for name, rows in (arguments or {}).items()}
    return profile(rights={"syscalls": {"observed": list(names)}, "arguments": ruled, **rights})


def files(**rights: str) -> Profile:
    """A profile with file rights, written `files(read="/etc/a /b", write_create="/c")`."""
    table = {path: words.replace("_", " ") for words, paths in rights.items() for path in paths.split()}
    return profile(rights={"files": {"observed": table}})


def caps(*names: str, origin: str = "observed") -> Profile:
    """A profile with capabilities."""
    return profile(rights={"capabilities": {origin: list(names)}})


def network(*rules: str, origin: str = "observed", **rights: Any) -> Profile:
    """A profile with network rules."""
    return profile(rights={"network": {origin: list(rules)}, **rights})


def covered(share: float) -> tuple[Coverage, ...]:
    """What two runs say of what was not seen."""
    return (Coverage(kind="files", runs=2, seen=4, total=5.0, coverage=share, expected_new=1.0, last_new=2),)


def limited(**changes: Any) -> Profile:
    """A profile with limits of memory and processes."""
    return profile(rights={"limits": {"observed": {"memory": "64M", "pids": 16}}}, **changes)


def demanded(**demands: Any) -> dict[str, Any]:
    """A policy with these demands, as what is around a subject."""
    return {"demand": msgspec.convert(demands, Demand)}


def subject_of(value: Profile) -> Subject:
    """The subject of a profile, as if it had been read from `FILE`."""
    text = render_profile(value).decode()
    return profile_subject(value, file=FILE, locator=ProfileLocator(TomlSource(FILE, text)))


def hits(id: str, subject: Subject | Profile, demand: Demand | None = None, **around: Any) -> list[Hit]:
    """What one check finds."""
    if isinstance(subject, Profile):
        around.setdefault("generated", subject)
        subject = subject_of(subject)
    case = Case(subject=subject, demand=demand or Demand(), around=Surroundings(**around), today=TODAY)
    check = CHECKS[id]
    assert all(subject.has(facet) for facet in check.needs)
    return list(check.run(case))


class DenyList:
    """A filter that refuses some calls of x86-64 and lets everything else through, x32 included."""

    architectures: tuple[Arch, ...] = (Arch.X86_64,)
    unchecked: tuple[Arch, ...] = (Arch.X32,)
    unknown = ALLOW

    def __init__(self, *refused: str) -> None:
        self._refused = refused

    def reach(self, arch: Arch, name: str) -> Reach:
        return Reach.NEVER if name in self._refused else Reach.ALWAYS

    def action(self, arch: Arch, name: str, arguments: Sequence[int]) -> int:
        return ENOSYS if name in self._refused else ALLOW

    def argument_values(self, name: str) -> tuple[tuple[int | None, ...], ...] | None:
        return None


def deny(*refused: str) -> Subject:
    """A seccomp profile that forbids `refused` and allows the rest."""
    base = subject_of(profile())
    return Subject(
        name="x", file="x.json", kind=SubjectKind.OCI_SECCOMP, locator=base.locator, seccomp=DenyList(*refused)
    )
