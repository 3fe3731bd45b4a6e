"""What gets through a filter, asked of any `SeccompFacet`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from harden.check.case import Case, Hit
from harden.check.subject import Reach, SeccompFacet, Section
from harden.model.arch import Arch
from harden.model.risk import syscall_risk

__all__ = ["Row", "granted_calls", "lets_through", "passes", "reached"]

Row = tuple[int | None, ...]
"""One allowed combination of a call's ruled arguments, None for any value."""

_THROUGH: Final = frozenset({0x7FFF, 0x7FFC, 0x7FF0})
"""ALLOW, LOG and TRACE: without a tracer that holds it back the call is made (seccomp(2))."""


def lets_through(action: int) -> bool:
    """Whether the kernel makes the call after this SECCOMP_RET_* value."""
    return action >> 16 in _THROUGH


def reached(facet: SeccompFacet, names: Iterable[str]) -> Iterator[tuple[str, Arch, Reach]]:
    """Those of `names` that get through on some ABI, each once, with the ABI where most of it does."""
    for name in names:
        found = [(facet.reach(arch, name), arch) for arch in facet.architectures]
        best = max(found, key=lambda each: each[0].value, default=(Reach.NEVER, Arch.X86_64))
        if best[0] is not Reach.NEVER:
            yield name, best[1], best[0]


def passes(
    facet: SeccompFacet, name: str, *, row: Callable[[Row], bool], probes: Sequence[tuple[int, ...]]
) -> Arch | None:
    """The first ABI on which the call gets through with arguments that matter.

    They are told by `row` where the filter lists its combinations, else by trying `probes` (six arguments each).
    """
    for arch in facet.architectures:
        reach = facet.reach(arch, name)
        if reach is Reach.NEVER:
            continue
        if reach is Reach.ALWAYS:
            return arch
        rows = facet.argument_values(name)
        if rows is not None:
            if any(map(row, rows)):
                return arch
        elif any(lets_through(facet.action(arch, name, probe)) for probe in probes):
            return arch
    return None


def granted_calls(case: Case, names: Iterable[str]) -> Iterator[Hit]:
    """A hit for each of `names` that gets through, with what it gives."""
    assert case.subject.seccomp is not None
    for name, _, reach in reached(case.subject.seccomp, names):
        manner = "" if reach is Reach.ALWAYS else " with some arguments"
        yield Hit(
            message=f"{name} is allowed{manner}: it {syscall_risk(name).why}",
            subject=name,
            section=Section.SYSCALL,
            word=name,
        )
