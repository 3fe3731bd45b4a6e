"""Names for what was counted: calls, their arguments, and capability checks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec

from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.path_text import to_text
from harden.model.recording import (
    ArgumentsSeen,
    CapabilityNamespace,
    CapabilitySeen,
    SyscallSeen,
    Unseen,
)
from harden.model.seen import earliest
from harden.model.syscall import name_of
from harden.model.syscall_argument import RECORDED_ROWS
from harden.trace.errno_name import errno_name
from harden.trace.layout import SERVING, ArgumentKey, CapabilityMark, CountKey, Event, EventKind, Mark
from harden.trace.observations import Beginning, Observations
from harden.trace.place import below_descriptor, join, own_name, path_of_names
from harden.trace.tally import Tally

__all__ = [
    "ABI_NATIVE",
    "Program",
    "arch_of",
    "call_name",
    "decode_arguments",
    "decode_capabilities",
    "decode_programs",
    "decode_syscalls",
    "program_text",
]

ABI_NATIVE: Final = 0
_ABI_X32: Final = 1
_ABI_COMPAT: Final = 2


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One executable as the kernel started it; paths are the sandbox's."""

    path: bytes
    """The script for a script, else the program's file with symlinks resolved; `memfd:NAME` for one without a path."""
    file: bytes
    """The file that the kernel mapped: the interpreter for a script, else `path`."""
    loader: bytes
    """The dynamic loader; empty for a static program."""
    argv0: bytes


def decode_programs(events: tuple[Event, ...]) -> dict[int, Program]:
    """Executables by the number that every other observation has."""
    found = {}
    for event in events:
        if event.kind == EventKind.EXECUTABLE:
            anonymous = event.marks & Mark.INTERNAL and not event.string
            file = own_name(event.base) if anonymous else path_of_names(event.base)
            found[event.key.executable] = Program(
                path=_script(event) if event.string else file,
                file=file,
                loader=path_of_names(event.loader) if event.loader else b"",
                argv0=event.argv0,
            )
    return found


def _script(event: Event) -> bytes:
    if not event.marks & Mark.DESCRIPTOR:
        return join(path_of_names(event.base2), event.string)
    if event.marks & Mark.INTERNAL:
        return own_name(event.base2)
    return join(path_of_names(event.base2), below_descriptor(event.string))


def program_text(programs: Mapping[int, Program], number: int) -> str:
    """Path text of an executable, whatever the phase; empty when its event was lost."""
    program = programs.get(number & ~SERVING)
    return to_text(program.path) if program else ""


def decode_syscalls(observations: Observations, programs: Mapping[int, Program]) -> tuple[SyscallSeen, ...]:
    """Calls per executable and ABI, sorted."""
    blind = Unseen.RESULTS in observations.unseen
    made: Tally[tuple[str, Arch, int]] = Tally()
    failed: dict[tuple[str, Arch, int], Counter[str]] = defaultdict(Counter)
    for key, count in observations.counts.items():
        arch = arch_of(observations.arch, key.abi)
        if arch is None:
            continue
        call = (program_text(programs, key.executable), arch, key.nr)
        if key.error:
            failed[call][errno_name(key.error)] += count
        made.add(call, key.executable, 0 if key.error else count, _beginning(observations, key))
    return tuple(
        sorted(
            SyscallSeen(
                executable=executable,
                arch=arch,
                nr=nr,
                name=name_of(arch, nr),
                errors=None if blind else dict(sorted(failed[call].items())),
                # A call that the program's own filter refused has an end but no beginning.
                **made.evidence(call, at_least=failed[call].total()),
            )
            for call in made
            for executable, arch, nr in (call,)
        )
    )


def _beginning(observations: Observations, key: CountKey) -> Beginning:
    """Of a call in whichever phase: one that a thread waits in counts for another than that in which it began."""
    call = key._replace(executable=key.executable & ~SERVING, error=0)
    times = (key, call, call._replace(executable=call.executable | SERVING))
    return Beginning(observations.beginning(call).stack, earliest(observations.beginning(each).first for each in times))


def arch_of(native: Arch, abi: int) -> Arch | None:
    """The ABI behind a number of `enum call_abi`; None for one that this machine has no table of."""
    if abi == ABI_NATIVE:
        return native
    if native is Arch.X86_64:
        return {_ABI_X32: Arch.X32, _ABI_COMPAT: Arch.I386}.get(abi)
    return None


def decode_arguments(observations: Observations, programs: Mapping[int, Program]) -> tuple[ArgumentsSeen, ...]:
    """Combinations of arguments per executable and call, sorted; calls with too many have one entry without values."""
    arch = observations.arch
    found: Tally[tuple[str, str, tuple[int, ...]]] = Tally()
    overflowing = {
        key for key, distinct in observations.combinations.items() if distinct > observations.combination_limit
    }
    unknown = {(program_text(programs, key.executable), name_of(arch, key.nr)) for key in overflowing}
    for key, count in observations.arguments.items():
        executable, name = program_text(programs, key.executable), name_of(arch, key.nr)
        if (executable, name) not in unknown:
            found.add((executable, name, _values(key, name)), key.executable, count, observations.beginning(key))
    known = [
        ArgumentsSeen(
            executable=executable,
            arch=arch,
            name=name,
            values=values,
            **found.evidence(item),
        )
        for item in found
        for executable, name, values in (item,)
    ]
    overflown = [
        ArgumentsSeen(
            executable=call.executable,
            arch=arch,
            name=call.name,
            values=None,
            count=call.count,
            phases=call.phases,
            stack=call.stack,
            first_us=call.first_us,
            process=call.process,
        )
        for call in (decode_syscalls(observations, programs) if unknown else ())
        if call.arch is arch and (call.executable, call.name) in unknown
    ]
    return tuple(sorted([*known, *overflown], key=lambda seen: (seen.executable, seen.name, seen.values or ())))


def _values(key: ArgumentKey, name: str) -> tuple[int, ...]:
    return (key.value0, key.value1, key.value2)[: len(RECORDED_ROWS[name].arguments)]


def decode_capabilities(observations: Observations, programs: Mapping[int, Program]) -> tuple[CapabilitySeen, ...]:
    """Capability checks, sorted."""
    found: Tally[tuple[str, str, CapabilityNamespace, bool, bool, str]] = Tally()
    for key, count in observations.capabilities.items():
        check = (
            program_text(programs, key.executable),
            _capability_name(key.capability),
            _namespace(key.marks),
            bool(key.marks & CapabilityMark.GRANTED),
            bool(key.marks & (CapabilityMark.NOAUDIT | CapabilityMark.OVERRIDDEN))
            or key.stack in observations.probing_stacks,
            call_name(observations.arch, _ABI_COMPAT if key.marks & CapabilityMark.COMPAT else ABI_NATIVE, key.nr),
        )
        found.add(check, key.executable, count, observations.beginning(key))
    return tuple(
        sorted(
            CapabilitySeen(
                executable=executable,
                capability=capability,
                namespace=namespace,
                granted=granted,
                probing=probing,
                syscall=syscall,
                **found.evidence(check),
            )
            for check in found
            for executable, capability, namespace, granted, probing, syscall in (check,)
        )
    )


def _namespace(marks: int) -> CapabilityNamespace:
    if marks & CapabilityMark.HOST:
        return CapabilityNamespace.HOST
    return CapabilityNamespace.NESTED if marks & CapabilityMark.NESTED else CapabilityNamespace.SANDBOX


def _capability_name(number: int) -> str:
    try:
        return Capability(number).name
    except ValueError:
        return f"CAP_{number}"


def call_name(native: Arch, abi: int, nr: int) -> str:
    """The name of a call by its number and `enum call_abi`; empty for a negative number: outside any call."""
    arch = arch_of(native, abi)
    return name_of(arch, nr) if arch and nr >= 0 else ""
