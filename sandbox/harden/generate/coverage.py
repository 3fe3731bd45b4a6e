"""The kinds of things whose coverage over the runs of a recording is told, as a profile would grant them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from typing import Final

from harden.generate.network_rule import network_rules
from harden.generate.path_rule import PathNames
from harden.model.coverage import Coverage, estimate_coverage
from harden.model.need import capability_needs, file_needs
from harden.model.recording import Recording, Run

__all__ = ["coverage_of"]

_Things = AbstractSet[Hashable]


def coverage_of(recording: Recording) -> tuple[Coverage, ...]:
    """One estimate per kind, in the order of the kinds; nothing for a recording of fewer than two runs.

    The runs are taken in the order of their ids, which has nothing to do with what they saw. Paths are those of the
    rules: names that differ from run to run are one thing.
    """
    names = PathNames(recording.runs)
    found = (estimate_coverage(kind, [things(run, names) for run in recording.runs]) for kind, things in _KINDS.items())
    return tuple(each for each in found if each is not None)


def _syscalls(run: Run, _names: PathNames) -> _Things:
    return {(seen.arch, seen.name) for seen in run.syscalls}


def _arguments(run: Run, _names: PathNames) -> _Things:
    return {(seen.arch, seen.name, seen.values) for seen in run.arguments}


def _files(run: Run, names: PathNames) -> _Things:
    return {
        (names.pattern(path).text, operation)
        for path, operations in file_needs(run).items()
        for operation in operations
    }


def _capabilities(run: Run, _names: PathNames) -> _Things:
    return capability_needs(run)


def _connections(run: Run, names: PathNames) -> _Things:
    return set(network_rules([run], names)[0])


_KINDS: Final[dict[str, Callable[[Run, PathNames], _Things]]] = {
    "system calls": _syscalls,
    "arguments": _arguments,
    "files": _files,
    "capabilities": _capabilities,
    "connections": _connections,
}
