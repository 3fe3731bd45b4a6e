"""The union of profiles of one program: every right that one of them grants, with its origin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from harden.errors import UsageError
from harden.model.control import DEFAULT_REQUIREMENTS, Control, Requirement
from harden.model.gap import Completeness
from harden.model.origin import Origin
from harden.model.profile import (
    PROFILE_FORMAT,
    ArgumentTexts,
    Generated,
    Profile,
    Rights,
    parse_file_rights,
    render_file_rights,
)
from harden.model.recording import FileOperation
from harden.model.resource_limit import LimitName, LimitValue, parse_limit, render_limit

__all__ = ["merge_profiles"]

Before = TypeVar("Before")
After = TypeVar("After")

_WORST: Final = (Completeness.OPAQUE, Completeness.INCOMPLETE, Completeness.COMPLETE)
_STRICTEST: Final = (Requirement.REQUIRED, Requirement.PREFERRED, Requirement.OFF)


def merge_profiles(profiles: Sequence[Profile], *, name: str, version: str) -> Profile:
    """The profile `name` that allows what any of `profiles` allows; the same bytes whatever their order.

    Each right keeps the origins it has in them. A limit is the largest, and none where one has none. A call that
    takes any arguments in one takes any here. The workload is that of the one whose text comes first; a control is as
    strict as the strictest of them has it. Raises UsageError when they are not of one program.
    """
    programs = sorted({profile.workload.program for profile in profiles})
    if len(programs) != 1:
        raise UsageError(
            f"the profiles are of {len(programs)} programs: {', '.join(programs[:5])}",
            hint="merge profiles of one program; another program gets a profile of its own",
        )
    in_order = sorted(profiles, key=lambda profile: msgspec.json.encode(profile.workload, order="sorted"))
    return Profile(
        format=PROFILE_FORMAT,
        name=name,
        generated=_generated([profile.generated for profile in profiles], version),
        workload=in_order[0].workload,
        rights=_rights([profile.rights for profile in profiles]),
        widened=_widened(profiles),
        controls=_controls(profiles),
    )


def _generated(each: Sequence[Generated], version: str) -> Generated:
    kernels = {generated.kernel for generated in each}
    return Generated(
        harden=version,
        runs=tuple(sorted({run for generated in each for run in generated.runs})),
        completeness=min((generated.completeness for generated in each), key=_WORST.index),
        kernel=kernels.pop() if len(kernels) == 1 else "",
        notes=tuple(sorted({note for generated in each for note in generated.notes})),
    )


def _rights(each: Sequence[Rights]) -> Rights:
    return Rights(
        architectures=tuple(sorted({arch for rights in each for arch in rights.architectures})),
        syscalls=_lists(rights.syscalls for rights in each),
        arguments=_arguments(each),
        capabilities=_lists(rights.capabilities for rights in each),
        files=_files(each),
        network=_lists(rights.network for rights in each),
        limits=_limits(each),
    )


def _lists(each: Iterable[dict[Origin, tuple[str, ...]]]) -> dict[Origin, tuple[str, ...]]:
    found: dict[Origin, set[str]] = defaultdict(set)
    for by_origin in each:
        for origin, names in by_origin.items():
            found[origin] |= set(names)
    return _in_order(found, lambda names: tuple(sorted(names)))


def _arguments(each: Sequence[Rights]) -> dict[str, dict[Origin, tuple[ArgumentTexts, ...]]]:
    """Rules for the calls that have one wherever they are granted."""
    ruled = {name for rights in each for name in rights.arguments}
    free = {name for rights in each for name in rights.all_syscalls() - rights.arguments.keys()}
    found: dict[str, dict[Origin, set[ArgumentTexts]]] = defaultdict(lambda: defaultdict(set))
    for rights in each:
        for name in rights.arguments.keys() - free:
            for origin, rows in rights.arguments[name].items():
                found[name][origin] |= set(rows)
    return {name: _in_order(found[name], lambda rows: tuple(sorted(rows))) for name in sorted(ruled - free)}


def _files(each: Sequence[Rights]) -> dict[Origin, dict[str, str]]:
    found: dict[Origin, dict[str, frozenset[FileOperation]]] = defaultdict(lambda: defaultdict(frozenset))
    for rights in each:
        for origin, files in rights.files.items():
            for path, text in files.items():
                found[origin][path] |= parse_file_rights(text)
    return _in_order(found, lambda files: {path: render_file_rights(files[path]) for path in sorted(files)})


def _limits(each: Sequence[Rights]) -> dict[Origin, dict[LimitName, LimitValue]]:
    """The largest of each; none where one of them has none."""
    shared = frozenset.intersection(*(frozenset(rights.all_limits()) for rights in each))
    found: dict[Origin, dict[LimitName, int]] = defaultdict(dict)
    for origin, limits in ((origin, limits) for rights in each for origin, limits in rights.limits.items()):
        for name in shared & limits.keys():
            found[origin][name] = max(parse_limit(name, limits[name]), found[origin].get(name, 0))
    return _in_order(found, lambda limits: {name: render_limit(name, limits[name]) for name in sorted(limits)})


def _in_order(found: dict[Origin, Before], of: Callable[[Before], After]) -> dict[Origin, After]:
    return {origin: of(found[origin]) for origin in Origin if origin in found}


def _widened(profiles: Sequence[Profile]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for profile in profiles:
        for pattern, paths in profile.widened.items():
            found[pattern] |= set(paths)
    return {pattern: tuple(sorted(found[pattern])) for pattern in sorted(found)}


def _controls(profiles: Sequence[Profile]) -> dict[Control, Requirement]:
    """A profile that says nothing of a control has it as every profile does."""
    named = sorted({control for profile in profiles for control in profile.controls})
    return {
        control: min((_wanted(profile, control) for profile in profiles), key=_STRICTEST.index) for control in named
    }


def _wanted(profile: Profile, control: Control) -> Requirement:
    return profile.controls.get(control, DEFAULT_REQUIREMENTS.get(control, Requirement.OFF))
