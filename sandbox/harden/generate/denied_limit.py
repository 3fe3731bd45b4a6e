"""What limits of resources refused: memory, processes and descriptors beyond what the profile lets a program have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from harden.generate.history import History
from harden.generate.limit_rule import raised_limit
from harden.model.control import Control
from harden.model.denial import Denial, DenialSource
from harden.model.file_operation import OK
from harden.model.outcome import Usage
from harden.model.profile import LocalRights, Profile
from harden.model.recording import Run
from harden.model.resource_limit import LIMIT_CONTROLS, LimitName, PeakName, render_limit

__all__ = ["Held", "denied_limits"]

_FORKS: Final = frozenset({"clone", "clone3", "fork", "vfork"})
_OWN_LIMIT: Final = frozenset({"inotify_init", "inotify_init1", "fanotify_init"})
"""They give EMFILE for the instances that a user may have (sysctl fs.inotify) as well."""
_GIVEN: Final = "the limit was given when it was traced, and is no part of the rights: trace it again with a higher one"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What held a rerun to its limits, and what came of it."""

    in_force: frozenset[Control] = frozenset()
    given: frozenset[LimitName] = frozenset()
    """Limits that the stored options give in place of the profile's."""
    usage: Usage = Usage()


def denied_limits(
    run: Run, profile: Profile, history: History, held: Held, refused_calls: frozenset[tuple[str, str, str]]
) -> Iterator[Denial]:
    """One denial per limit, program and call, as far as the kernel counts it or the result leaves no doubt."""
    limits = profile.limits()
    for name, found in (
        (LimitName.PIDS, _pids(run, held.usage, refused_calls)),
        (LimitName.MEMORY, _memory(profile, held.usage)),
        (LimitName.NOFILE, _nofile(run, limits.get(LimitName.NOFILE), refused_calls)),
    ):
        if LIMIT_CONTROLS[name] not in held.in_force:
            continue
        is_learned = name in limits and name not in held.given
        add = {name: render_limit(name, raised_limit(name, limits[name]))} if is_learned else {}
        for executable, call, result, count in found:
            yield Denial(
                control=LIMIT_CONTROLS[name],
                source=DenialSource.ERRNO if call else DenialSource.COUNTER,
                executable=executable,
                call=call,
                result=result,
                count=count,
                recorded=history.was_let(bool(call) and history.call_ended(call, OK)),
                add=LocalRights(limits=add),
                advice="" if is_learned else _GIVEN,
            )


_Found = Iterator[tuple[str, str, str, int]]
"""Executable, call, result, count."""


def _pids(run: Run, usage: Usage, refused_calls: frozenset[tuple[str, str, str]]) -> _Found:
    """EAGAIN of a fork has more reasons than pids.max, whose refusals the cgroup counts (pids.events)."""
    if not usage.forks_refused:
        return
    found = list(_failed(run, "EAGAIN", refused_calls, _FORKS))
    yield from found or [(run.workload.program, "", "EAGAIN", usage.forks_refused)]


def _memory(profile: Profile, usage: Usage) -> _Found:
    # A kill by the host's want of memory is none that a higher limit would avoid.
    if usage.oom_kills and usage.oom_events != 0:
        yield profile.workload.program, "", "SIGKILL", usage.oom_kills


def _nofile(run: Run, most: int | None, refused_calls: frozenset[tuple[str, str, str]]) -> _Found:
    """Only where a process had the highest descriptor that the limit allows: a program may have lowered its own."""
    if most is None or run.peaks.get(PeakName.OPEN_FILES, 0) < most:
        return
    names = frozenset(call.name for call in run.syscalls) - _OWN_LIMIT
    yield from _failed(run, "EMFILE", refused_calls, names)


def _failed(run: Run, errno: str, refused_calls: frozenset[tuple[str, str, str]], names: frozenset[str]) -> _Found:
    for call in run.syscalls:
        count = (call.errors or {}).get(errno, 0)
        if count and call.name in names and (call.executable, call.name, errno) not in refused_calls:
            yield call.executable, call.name, errno, count
