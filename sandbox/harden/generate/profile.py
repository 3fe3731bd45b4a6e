"""A recording becomes a profile. Pure: the same runs give the same profile, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence

from harden.errors import DocumentError
from harden.generate import note
from harden.generate.limit_rule import limit_notes, limit_rules
from harden.generate.limits import call_notes, capability_notes, file_notes, unseen_notes
from harden.generate.network_rule import network_rules
from harden.generate.path_rule import PathNames, file_rules
from harden.generate.recorded_call import check_calls
from harden.generate.syscall_rule import architectures, argument_rules, foreign_arch_notes, syscall_rules
from harden.generate.workload import workload_notes, workload_of
from harden.model.baseline import Baseline, Families
from harden.model.need import capability_needs, unusable_sockets
from harden.model.origin import Origin
from harden.model.profile import Generated, Profile, Rights, parse_file_rights, render_file_rights
from harden.model.recording import Recording, Run

__all__ = ["generate_profile"]


def generate_profile(
    recording: Recording, *, name: str, baseline: Baseline, families: Families | None = None, version: str
) -> Profile:
    """The least that the recorded runs need, and the baseline, each rule with its origin.

    The workload is the one that most runs share (`workload.chosen_run`). `families` adds the siblings of observed
    calls. Raises DocumentError for a recording without runs, and for one with calls that do not exist.
    """
    if not recording.runs:
        raise DocumentError(name, "the recording holds no run", hint="record one with harden trace")
    runs = Recording.of(recording.runs).runs
    check_calls(runs)
    names = PathNames(runs)
    syscalls = syscall_rules(runs, baseline, families)
    arguments, notes = argument_rules(runs, syscalls, baseline)
    files, widened = _files(runs, names, baseline)
    network, network_notes = network_rules(runs, names)
    return Profile(
        format="harden-profile/1",
        name=name,
        generated=Generated(
            harden=version,
            runs=tuple(run.id for run in runs),
            completeness=recording.completeness,
            kernel=runs[0].host.kernel,
            notes=(
                *notes,
                *network_notes,
                *foreign_arch_notes(runs),
                *workload_notes(runs),
                *_socket_notes(runs),
                *call_notes(runs),
                *capability_notes(runs),
                *file_notes(runs),
                *unseen_notes(runs),
                *limit_notes(runs),
            ),
        ),
        workload=workload_of(runs),
        rights=Rights(
            architectures=architectures(runs),
            syscalls=syscalls,
            arguments=arguments,
            capabilities=_listed({need for run in runs for need in capability_needs(run)}),
            files=files,
            network=_listed(set(network)),
            limits=limit_rules(runs),
        ),
        widened=widened,
    )


def _listed(observed: set[str]) -> dict[Origin, tuple[str, ...]]:
    return {Origin.OBSERVED: tuple(sorted(observed))} if observed else {}


def _files(
    runs: Sequence[Run], names: PathNames, baseline: Baseline
) -> tuple[dict[Origin, dict[str, str]], dict[str, tuple[str, ...]]]:
    rules, widened = file_rules(runs, names)
    observed = {path: render_file_rights(operations) for path, operations in rules.items()}
    always: dict[str, str] = {}
    for entry in sorted(baseline.files, key=lambda entry: entry.path):
        missing = parse_file_rights(entry.rights) - rules.get(entry.path, frozenset())
        if missing:
            always[entry.path] = render_file_rights(missing)
    by_origin = {Origin.OBSERVED: observed, Origin.BASELINE: always}
    return {origin: table for origin, table in by_origin.items() if table}, widened


def _socket_notes(runs: Sequence[Run]) -> list[str]:
    return sorted(
        {
            note.unruled_socket(seen.operation, seen.family, seen.address)
            for run in runs
            for seen in unusable_sockets(run)
        }
    )
