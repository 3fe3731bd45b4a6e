"""What in a recording asked for one rule, by run, program and call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from harden.generate.limit_rule import peak_text
from harden.generate.looked_up import hosts_of
from harden.model.action import RingOperationSeen, SignalSeen
from harden.model.cover import allows
from harden.model.diff import RightKind
from harden.model.need import capability_needs, normal_path, socket_rule
from harden.model.network_rule import NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.peak import peak_of
from harden.model.recording import ArgumentsSeen, CapabilitySeen, FileSeen, Recording, Run, SocketSeen, SyscallSeen
from harden.model.resource_limit import LimitName
from harden.model.seen import NOT_KNOWN, First, earliest
from harden.model.stack import NO_STACK
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["Behind", "evidence_for"]


class Behind(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One program in one run that asked for it."""

    run: str
    executable: str
    call: str
    """Empty outside any call."""
    what: str = ""
    """The path, the operation, the address, the signal and whom it went to, or how the call failed."""
    count: int
    stack: tuple[str, ...] = ()
    """Where in the program it was first done, innermost function first; empty where that is not known."""
    first_us: int | None = None
    """When it was first done, in microseconds from the gate's opening, and by which process; None: not known."""
    process: int | None = None


_Found = tuple[str, str, str, int, int, First]
"""Executable, call, what, count, number of the stack, the first time."""
_Recorded = SyscallSeen | ArgumentsSeen | CapabilitySeen | FileSeen | SocketSeen | SignalSeen | RingOperationSeen


def evidence_for(kind: RightKind, rule: str, recording: Recording) -> tuple[Behind, ...]:
    """Everything in `recording` that this rule is needed for, most often first."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    stacks: dict[tuple[str, str, str, str], tuple[str, ...]] = {}
    firsts: dict[tuple[str, str, str, str], First] = {}
    for run in recording.runs:
        key = run.id
        # Stacks are numbered in the order of their first time.
        for executable, call, what, count, stack, first in sorted(_FIND[kind](rule, run), key=lambda each: each[4]):
            place = (key, executable, call, what)
            counts[place] += count
            firsts[place] = earliest((firsts.get(place, NOT_KNOWN), first))
            if stack != NO_STACK:
                stacks.setdefault(place, run.stack(stack))
    found = (
        Behind(
            run=run,
            executable=executable,
            call=call,
            what=what,
            count=count,
            stack=stacks.get(each, ()),
            first_us=firsts[each].us,
            process=firsts[each].process,
        )
        for each, count in counts.items()
        for run, executable, call, what in (each,)
    )
    return tuple(sorted(found, key=lambda each: (-each.count, each)))


def _seen(seen: _Recorded) -> tuple[int, int, First]:
    return seen.count, seen.stack, First(seen.first_us, seen.process)


def _calls(rule: str, run: Run) -> Iterator[_Found]:
    for call in run.syscalls:
        if call.name == rule:
            failed = ", ".join(f"{errno} ×{count}" for errno, count in (call.errors or {}).items())
            yield (
                call.executable,
                rule,
                f"failed: {failed}" if failed else "results unknown" if call.errors is None else "",
                *_seen(call),
            )
    for sent in run.signals:
        if sent.syscall == rule:
            yield sent.executable, rule, f"{sent.signal} to {sent.target}", *_seen(sent)
    for done in run.ring_operations:
        if done.syscall == rule:
            yield done.executable, rule, f"io_uring {done.operation}", *_seen(done)


def _arguments(rule: str, run: Run) -> Iterator[_Found]:
    name, *texts = rule.split(" ")
    wanted = parse_values(ARGUMENT_ROWS[name], texts)
    for seen in run.arguments:
        if seen.name == name and seen.values == wanted:
            yield seen.executable, name, ", ".join(texts), *_seen(seen)


def _capabilities(rule: str, run: Run) -> Iterator[_Found]:
    if rule not in capability_needs(run):
        return
    for seen in run.capabilities:
        if seen.capability == rule and not seen.probing:
            yield seen.executable, seen.syscall, "granted" if seen.granted else "refused", *_seen(seen)


def _files(rule: str, run: Run) -> Iterator[_Found]:
    pattern = PathPattern.parse(rule)

    def is_meant(text: str) -> bool:
        path = normal_path(text)
        return path is not None and pattern.matches(path)

    for seen in run.files:
        if is_meant(seen.path):
            result = "" if seen.result == "ok" else f": {seen.result}"
            yield seen.executable, seen.syscall, f"{seen.operation} {seen.path}{result}", *_seen(seen)
    for program in run.executables:
        for library in filter(is_meant, program.libraries):
            yield program.path, "", f"library {library}", 1, NO_STACK, NOT_KNOWN
        if program.interpreter and is_meant(program.interpreter):
            yield program.path, "execve", f"interpreter {program.interpreter}", 1, NO_STACK, NOT_KNOWN


def _addresses(rule: str, run: Run) -> Iterator[_Found]:
    wanted = NetworkRule.parse(rule)
    for seen in run.sockets:
        asked = socket_rule(seen) if seen.operation in ("bind", "connect", "send") else None
        if asked is not None and allows(wanted, asked):
            hosts = hosts_of(run, asked.address)
            named = f", looked up as {', '.join(hosts)}" if hosts else ""
            what = f"{asked.render()}: {seen.result}{named}"
            yield seen.executable, seen.syscall or seen.operation, what, *_seen(seen)


def _peaks(rule: str, run: Run) -> Iterator[_Found]:
    name = LimitName(rule)
    peak = peak_of(run, name)
    if peak is not None:
        yield run.workload.program, "", peak_text(name, peak), 1, NO_STACK, NOT_KNOWN


_FIND: Final[dict[RightKind, Callable[[str, Run], Iterator[_Found]]]] = {
    RightKind.SYSCALL: _calls,
    RightKind.ARGUMENT: _arguments,
    RightKind.CAPABILITY: _capabilities,
    RightKind.FILE: _files,
    RightKind.NETWORK: _addresses,
    RightKind.LIMIT: _peaks,
}
