"""A profile with a container runtime's own needs added, as origin `runtime`."""

from __future__ import annotations

import msgspec

from harden import shipped
from harden.model.document import parse_toml
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.model.runtime_calls import RUNTIMES_FORMAT, Runtime, Runtimes
from harden.model.syscall import number_of
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["runtimes", "with_runtime"]


def runtimes() -> dict[str, Runtime]:
    """The shipped table by name."""
    text = shipped.text("profiles/runtimes.toml").encode()
    table = parse_toml(text, Runtimes, format=RUNTIMES_FORMAT, file="profiles/runtimes.toml")
    return {runtime.name: runtime for runtime in table.runtime}


def with_runtime(profile: Profile, runtime: Runtime) -> tuple[Profile, tuple[str, ...]]:
    """The wider profile, and one sentence for each reason for which it is wider."""
    rights = profile.rights
    granted = rights.all_syscalls()
    added: set[str] = set()
    arguments = dict(rights.arguments)
    notes = []
    for entry in runtime.calls:
        known = {
            name for name in entry.names if any(number_of(arch, name) is not None for arch in rights.architectures)
        }
        new = sorted(known - granted)
        added |= set(new)
        if new:
            notes.append(f"added for {runtime.name}: {', '.join(new)} ({entry.reason})")
    for ruled in runtime.arguments:
        row = ARGUMENT_ROWS[ruled.syscall]
        allowed = rights.argument_values(ruled.syscall) or ()
        takes_any = ruled.syscall in granted and ruled.syscall not in arguments
        values = tuple(texts for texts in ruled.values if parse_values(row, texts) not in allowed)
        if ruled.syscall not in granted | added or takes_any or not values:
            continue
        arguments[ruled.syscall] = {**arguments.get(ruled.syscall, {}), Origin.RUNTIME: values}
        shown = "; ".join(", ".join(texts) for texts in values)
        notes.append(f"added for {runtime.name}: {ruled.syscall} with {shown} ({ruled.reason})")
    syscalls = {**rights.syscalls, Origin.RUNTIME: tuple(sorted({*rights.syscalls.get(Origin.RUNTIME, ()), *added}))}
    wider = msgspec.structs.replace(rights, syscalls=syscalls, arguments=arguments)
    return msgspec.structs.replace(profile, rights=wider), tuple(notes)
