"""Rights by executable: what each program that the workload starts was seen to need of what the profile grants.

The profile is the union over all executables; the recording knows which of them did what. Nothing is in a child's
rights that is not in the profile's, and what nobody was seen to need (the baseline, what a person added) is in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from harden.model.need import capability_needs, file_needs, network_needs
from harden.model.network_rule import NetworkRule
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.profile import Profile, Rights, parse_file_rights, render_file_rights
from harden.model.recording import FileOperation, Recording, Run
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["child_rights"]


def child_rights(profile: Profile, recording: Recording) -> dict[str, Rights]:
    """By path text of an executable that is not the workload's own program: its part of the profile's rights."""
    seen = {executable.path for run in recording.runs for executable in run.executables}
    own = {run.workload.program for run in recording.runs} | {profile.workload.program}
    started = [path for path in sorted(seen - own) if _may_execute(profile.rights, path)]
    return {path: _rights_of(profile.rights, [_part(run, path) for run in recording.runs]) for path in started}


def _may_execute(rights: Rights, path: str) -> bool:
    if not path.startswith("/"):
        return False
    wanted = from_text(path)
    return any(
        pattern.is_literal and pattern.path == wanted and FileOperation.EXEC in operations
        for pattern, operations in rights.all_files()
    )


def _part(run: Run, executable: str) -> Run:
    """What one executable did in a run."""
    return msgspec.structs.replace(
        run,
        workload=msgspec.structs.replace(run.workload, program=executable),
        syscalls=tuple(seen for seen in run.syscalls if seen.executable == executable),
        arguments=tuple(seen for seen in run.arguments if seen.executable == executable),
        capabilities=tuple(seen for seen in run.capabilities if seen.executable == executable),
        files=tuple(seen for seen in run.files if seen.executable == executable),
        sockets=tuple(seen for seen in run.sockets if seen.executable == executable),
        executables=tuple(seen for seen in run.executables if seen.path == executable),
    )


def _rights_of(rights: Rights, parts: list[Run]) -> Rights:
    calls = {seen.name for part in parts for seen in part.syscalls}
    capabilities = {name for part in parts for name in capability_needs(part)}
    needed: dict[bytes, frozenset[FileOperation]] = {}
    for part in parts:
        for path, operations in file_needs(part).items():
            needed[path] = needed.get(path, frozenset()) | operations
    network = [rule for part in parts for rule in network_needs(part)]
    return msgspec.structs.replace(
        rights,
        syscalls=_observed_if(rights.syscalls, lambda name: name in calls),
        arguments=dict(_arguments(rights, parts)),
        capabilities=_observed_if(rights.capabilities, lambda name: name in capabilities),
        files={origin: dict(_files(origin, files, needed)) for origin, files in rights.files.items()},
        network=_observed_if(rights.network, lambda text: _is_needed(text, network)),
    )


def _observed_if(
    by_origin: dict[Origin, tuple[str, ...]], is_seen: Callable[[str], bool]
) -> dict[Origin, tuple[str, ...]]:
    return {
        origin: tuple(text for text in texts if origin is not Origin.OBSERVED or is_seen(text))
        for origin, texts in by_origin.items()
    }


def _arguments(rights: Rights, parts: list[Run]) -> Iterator[tuple[str, dict[Origin, tuple[tuple[str, ...], ...]]]]:
    for name, by_origin in rights.arguments.items():
        row = ARGUMENT_ROWS[name]
        seen = [each.values for part in parts for each in part.arguments if each.name == name]
        yield (
            name,
            {
                origin: tuple(
                    texts
                    for texts in rows
                    if origin is not Origin.OBSERVED
                    or any(values is None or _matches(parse_values(row, texts), values) for values in seen)
                )
                for origin, rows in by_origin.items()
            },
        )


def _matches(rule: tuple[int | None, ...], values: tuple[int, ...]) -> bool:
    return all(wanted is None or wanted == value for wanted, value in zip(rule, values, strict=True))


def _files(
    origin: Origin, files: dict[str, str], needed: dict[bytes, frozenset[FileOperation]]
) -> Iterator[tuple[str, str]]:
    for text, words in files.items():
        if origin is not Origin.OBSERVED:
            yield text, words
            continue
        pattern = PathPattern.parse(text)
        wanted = frozenset[FileOperation]()
        for path, operations in needed.items():
            if pattern.matches(path):
                wanted |= operations
        kept = wanted & parse_file_rights(words)
        if kept:
            yield text, render_file_rights(kept)


def _is_needed(text: str, network: list[NetworkRule]) -> bool:
    """A rule for every port stands for the ports that were seen."""
    rule = NetworkRule.parse(text)
    return any(
        (each.operation, each.protocol) == (rule.operation, rule.protocol)
        and (each.address == rule.address or each.family == "AF_UNIX" == rule.family)
        for each in network
    )
