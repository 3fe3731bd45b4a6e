"""forbidden-argument: a call gets through with arguments that the policy forbids or does not list."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import Row, passes
from harden.check.subject import Facet, Reach, SeccompFacet, Section
from harden.model.profile import ArgumentTexts
from harden.model.severity import Severity
from harden.model.syscall_argument import ARGUMENT_ROWS, ArgumentKind, parse_values, render_values

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    facet = case.subject.seccomp
    assert facet is not None
    for name, texts in sorted(case.demand.forbidden_arguments.items()):
        for row in _rows(name, texts):
            if passes(facet, name, row=partial(_meets, name, row), probes=(_probe(name, row),)):
                yield _hit(name, f"{name}({_text(name, row)}) is allowed and forbidden by the policy")
    for name, texts in sorted(case.demand.allowed_arguments.items()):
        yield from _beyond(facet, name, _rows(name, texts))


def _beyond(facet: SeccompFacet, name: str, allowed: tuple[Row, ...]) -> Iterator[Hit]:
    reach = max(
        (facet.reach(arch, name) for arch in facet.architectures), key=lambda each: each.value, default=Reach.NEVER
    )
    if reach is Reach.NEVER:
        return
    rows = facet.argument_values(name)
    if rows is None:
        manner = "any arguments" if reach is Reach.ALWAYS else "arguments that this format does not list"
        yield _hit(name, f"{name} is allowed with {manner}; the policy allows a list")
        return
    for row in rows:
        if not any(_covers(wider, row) for wider in allowed):
            yield _hit(name, f"{name}({_text(name, row)}) is allowed, and not on the policy's list")


def _rows(name: str, texts: tuple[ArgumentTexts, ...]) -> tuple[Row, ...]:
    return tuple(parse_values(ARGUMENT_ROWS[name], each) for each in texts)


def _text(name: str, row: Row) -> str:
    return ", ".join(render_values(ARGUMENT_ROWS[name], row))


def _meets(name: str, bad: Row, given: Row) -> bool:
    """Whether a granted combination has what is forbidden: equal values, and of flags at least all that are named."""
    rows = zip(ARGUMENT_ROWS[name].arguments, bad, given, strict=True)
    return all(_has(argument.kind, wanted, have) for argument, wanted, have in rows)


def _has(kind: ArgumentKind, wanted: int | None, have: int | None) -> bool:
    if wanted is None or have is None or wanted == have:
        return True
    return kind is ArgumentKind.FLAGS and wanted != 0 and have & wanted == wanted


def _covers(wider: Row, row: Row) -> bool:
    return all(one is None or one == other for one, other in zip(wider, row, strict=True))


def _probe(name: str, row: Row) -> tuple[int, ...]:
    arguments = [0] * 6
    for argument, value in zip(ARGUMENT_ROWS[name].arguments, row, strict=True):
        arguments[argument.index] = value or 0
    return tuple(arguments)


def _hit(name: str, message: str) -> Hit:
    return Hit(message=message, subject=name, section=Section.ARGUMENT, word=name)


CHECK: Final = Check(
    id="forbidden-argument",
    severity=Severity.HIGH,
    title="a call is allowed with forbidden arguments",
    why="The policy says under `forbidden_arguments` or `allowed_arguments` what a call may be used for.",
    fix="Remove the combination from the profile; record again if the call is allowed with any arguments.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
