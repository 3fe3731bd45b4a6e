"""What is executed, as the outputs that start the workload themselves need it."""

from __future__ import annotations

import msgspec

from harden.model.path_text import from_text
from harden.model.profile import Profile
from harden.model.workload import MASK

__all__ = ["Command", "command_of"]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A program with its arguments (without argv[0]) and the variables whose values are known."""

    program: bytes
    arguments: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]
    cwd: bytes
    warnings: tuple[str, ...]


def command_of(profile: Profile) -> Command:
    """The stored workload; a secret that was masked is no value, and is said to be missing."""
    workload = profile.workload
    known = {name: value for name, value in workload.environment_values.items() if MASK not in value}
    missing = sorted({*workload.environment, *workload.environment_values} - known.keys())
    warnings = []
    if missing:
        warnings.append(
            f"not set, because the profile does not hold their values: {len(missing)} environment variables"
        )
    if any(MASK in argument for argument in workload.argv):
        warnings.append(f"an argument was a secret and is {MASK} here: put it in")
    return Command(
        program=from_text(workload.program),
        arguments=tuple(from_text(argument) for argument in workload.argv[1:]),
        environment=tuple((from_text(name), from_text(value)) for name, value in sorted(known.items())),
        cwd=from_text(workload.cwd),
        warnings=tuple(warnings),
    )
