"""Capabilities that were asked for and not held, where the call then failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from harden.generate.history import History
from harden.model.control import Control
from harden.model.denial import Denial, DenialSource
from harden.model.profile import LocalRights
from harden.model.recording import CapabilityNamespace, Run

__all__ = ["denied_capabilities"]

_REFUSING: Final = ("EPERM", "EACCES")
_OVERRIDE: Final = "CAP_DAC_OVERRIDE"
_READ_SEARCH: Final = "CAP_DAC_READ_SEARCH"
_OUTSIDE: Final = "no rule allows it: it is asked for against a user namespace outside the sandbox; see --userns"


def denied_capabilities(run: Run, history: History, refused_calls: frozenset[tuple[str, str, str]]) -> Iterator[Denial]:
    """One denial per program, call and capability.

    A check that failed while its call succeeded changed nothing, and one that failed in the recording too is no news.
    """
    counts: dict[tuple[str, str, CapabilityNamespace], Counter[str]] = defaultdict(Counter)
    for seen in run.capabilities:
        if seen.granted or seen.probing or seen.namespace is CapabilityNamespace.NESTED:
            continue
        if not history.capability(seen.capability, seen.syscall, granted=False):
            counts[seen.executable, seen.syscall, seen.namespace][seen.capability] += seen.count
    for (executable, syscall, namespace), wanted in sorted(counts.items()):
        result = _result(run, executable, syscall, history, refused_calls)
        for capability, count in sorted(_least(wanted).items()) if result else ():
            inside = namespace is CapabilityNamespace.SANDBOX
            yield Denial(
                control=Control.CAPABILITIES,
                source=DenialSource.CHECK,
                executable=executable,
                call=syscall,
                paths=_paths(run, executable, syscall, history),
                capability=capability,
                result=result,
                count=count,
                recorded=history.was_let(history.capability(capability, syscall, granted=True)),
                add=LocalRights(capabilities=(capability,)) if inside else LocalRights(),
                advice="" if inside else _OUTSIDE,
            )


def _least(wanted: Counter[str]) -> Counter[str]:
    """To read, the kernel asks for CAP_DAC_READ_SEARCH and then for CAP_DAC_OVERRIDE: the lesser one would do."""
    if _OVERRIDE in wanted and _READ_SEARCH in wanted:
        spare = _OVERRIDE if wanted[_OVERRIDE] <= wanted[_READ_SEARCH] else _READ_SEARCH
        return Counter({name: count for name, count in wanted.items() if name != spare})
    return wanted


def _result(
    run: Run, executable: str, syscall: str, history: History, refused_calls: frozenset[tuple[str, str, str]]
) -> str:
    """The errno that the call ended with for want of the capability; empty when it never failed."""
    failed: Counter[str] = Counter()
    for call in run.syscalls:
        if call.name == syscall and call.executable == executable:
            failed.update(call.errors or {})
    ours = {
        errno: count
        for errno, count in failed.items()
        if (errno in _REFUSING or not history.call_ended(syscall, errno))
        and (executable, syscall, errno) not in refused_calls
    }
    return next((errno for errno in _REFUSING if errno in ours), min(ours, default=""))


def _paths(run: Run, executable: str, syscall: str, history: History) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                seen.path
                for seen in run.files
                if (seen.executable, seen.syscall) == (executable, syscall)
                and seen.result in _REFUSING
                and not history.file(seen.path, seen.operation, seen.result)
            }
        )
    )
