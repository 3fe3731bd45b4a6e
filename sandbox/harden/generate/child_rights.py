"""Rights by executable: what each program that the workload starts was seen to need of what the profile grants.

The profile is the union over all executables; the recording knows which of them did what. Nothing is in a part that is
not in the profile's rights, and what nobody was seen to need (the baseline, what a person added) is in every part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from harden.generate.recorded_call import check_calls
from harden.model.file_operation import CAN_HAVE_WORKED
from harden.model.need import capability_needs, file_needs, network_needs
from harden.model.network_rule import NetworkRule
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.profile import Profile, Rights, parse_file_rights, render_file_rights
from harden.model.program_rights import ProgramRights
from harden.model.recording import FileOperation, Recording, Run
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["rights_by_program"]


def rights_by_program(profile: Profile, recording: Recording) -> ProgramRights:
    """The parts of the workload's own program and of each that it starts by a name that the profile has.

    What a child does between fork(2) and execve(2) is still its parent's. Where nobody was seen to start a program by
    that name, its part is the own program's. Raises DocumentError as `generate_profile` does.
    """
    check_calls(recording.runs)
    seen = {executable.path for run in recording.runs for executable in run.executables}
    own = {profile.workload.program} | {path for run in recording.runs for path in _own_program(run)}
    executed = {
        file.path
        for run in recording.runs
        for file in run.files
        if file.operation is FileOperation.EXEC and file.result in CAN_HAVE_WORKED
    }
    started = [path for path in sorted((seen & executed) - own) if _may_execute(profile.rights, path)]
    return ProgramRights(
        program=min(own & seen, default=profile.workload.program),
        own=_rights_of(profile.rights, [_own_part(run, frozenset(started)) for run in recording.runs]),
        children={path: _rights_of(profile.rights, [_part(run, path) for run in recording.runs]) for path in started},
    )


def _own_program(run: Run) -> Iterator[str]:
    """The workload's program as it was started and, behind links, the file that it is."""
    yield run.workload.program
    digest = run.workload.digest
    yield from (executable.path for executable in run.executables if digest and executable.digest == digest)


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
    mine = msgspec.structs.replace(run, workload=msgspec.structs.replace(run.workload, program=executable))
    return _done_by(mine, lambda path: path == executable)


def _own_part(run: Run, started: frozenset[str]) -> Run:
    """What everything else did."""
    return _done_by(run, lambda path: path not in started)


def _done_by(run: Run, is_meant: Callable[[str], bool]) -> Run:
    return msgspec.structs.replace(
        run,
        syscalls=tuple(seen for seen in run.syscalls if is_meant(seen.executable)),
        arguments=tuple(seen for seen in run.arguments if is_meant(seen.executable)),
        capabilities=tuple(seen for seen in run.capabilities if is_meant(seen.executable)),
        files=tuple(seen for seen in run.files if is_meant(seen.executable)),
        sockets=tuple(seen for seen in run.sockets if is_meant(seen.executable)),
        executables=tuple(seen for seen in run.executables if is_meant(seen.path)),
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
