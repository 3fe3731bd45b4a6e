"""System calls that the profile's filter refused, and the rule that would let each through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from harden.bpf.action import ALLOW, ENOSYS
from harden.bpf.decision import Decision
from harden.generate.history import History
from harden.model.control import Control
from harden.model.denial import Denial, DenialSource, Refusal
from harden.model.profile import LocalRights, Rights
from harden.model.recording import Run
from harden.model.refused_anyway import UNREADABLE
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

__all__ = ["denied_calls"]

_NOT_OURS: Final = (
    "no rule allows it: harden's own filter refuses what would type into a terminal or leave a set-user-id file or a "
    "device behind, or the program has a filter of its own"
)
_UNREADABLE: Final = (
    "no rule allows it: harden's own filter answers so where the program may change files of the host, because no "
    "filter sees the set-user-id bits that the call can ask for"
)
_FOREIGN: Final = "the profile has no rule for this ABI: trace the program again with what makes these calls"
_NO_ARGUMENTS: Final = (0,) * 6


def denied_calls(refusals: Iterable[Refusal], run: Run, rights: Rights, history: History) -> Iterator[Denial]:
    """One denial per program, call, arguments and answer; `run` tells which files the calls named."""
    decision = Decision.of(rights)
    paths = _paths(run)
    for refusal in refusals:
        action = _answer(decision, refusal)
        granted = refusal.name in rights.all_syscalls() and refusal.arch in rights.architectures
        if action == ALLOW and history.call_ended(refusal.name, refusal.result):
            continue
        if granted and action == ENOSYS:
            # Answered so by design (clone3): the caller then makes the call that is granted for it.
            continue
        add, advice = (LocalRights(), _not_ours(refusal)) if action == ALLOW else _rule(refusal, rights)
        yield Denial(
            control=Control.SECCOMP,
            source=DenialSource.ERRNO,
            executable=refusal.executable,
            call=refusal.name,
            arch=None if refusal.arch in rights.architectures else refusal.arch,
            arguments=_texts(refusal),
            paths=tuple(sorted(paths.get((refusal.executable, refusal.name, refusal.result), ()))),
            result=refusal.result,
            count=refusal.count,
            recorded=history.was_let(history.called_with(refusal.arch, refusal.name, refusal.values)),
            add=add,
            advice=advice,
        )


def _not_ours(refusal: Refusal) -> str:
    return _UNREADABLE if refusal.name in UNREADABLE and refusal.result == "ENOSYS" else _NOT_OURS


def _paths(run: Run) -> dict[tuple[str, str, str], set[str]]:
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for file in run.files:
        found[file.executable, file.syscall, file.result].add(file.path)
    return found


def _answer(decision: Decision, refusal: Refusal) -> int:
    """What the profile's filter says: of a ruled call only the ruled arguments matter, and those are known."""
    if refusal.arch is None:
        return ENOSYS
    arguments = list(_NO_ARGUMENTS)
    if refusal.values is not None:
        for argument, value in zip(ARGUMENT_ROWS[refusal.name].arguments, refusal.values, strict=True):
            arguments[argument.index] = value
    return decision.action(refusal.arch.audit_arch, refusal.nr, arguments)


def _texts(refusal: Refusal) -> tuple[str, ...]:
    return () if refusal.values is None else render_values(ARGUMENT_ROWS[refusal.name], refusal.values)


def _rule(refusal: Refusal, rights: Rights) -> tuple[LocalRights, str]:
    if refusal.arch not in rights.architectures:
        return LocalRights(), _FOREIGN
    name, texts = refusal.name, _texts(refusal)
    if name == "clone3":
        # Its flags are out of a filter's sight; every C library takes clone when it is not there.
        name, texts = "clone", render_values(ARGUMENT_ROWS["clone"], (0,))
    names = () if name in rights.all_syscalls() else (name,)
    ruled = name in rights.arguments or (bool(names) and bool(texts))
    return LocalRights(syscalls=names, arguments={name: (texts,)} if ruled and texts else {}), ""
