"""Why a rule is there, in a few words for a comment: how often, which programs asked for it, and whether only early."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from harden.generate.limit_rule import limit_comments
from harden.generate.looked_up import lookup_comments
from harden.model.file_operation import CAN_HAVE_WORKED
from harden.model.need import normal_path
from harden.model.path_pattern import PathPattern
from harden.model.phase import Phase
from harden.model.recording import Recording
from harden.model.syscall_argument import RECORDED_ROWS, render_values

__all__ = ["Evidence", "evidence_of"]

Evidence = dict[tuple[str, ...], str]
"""By place in a profile's rights (`("syscalls", "openat")`, `("arguments", "ioctl", "TCGETS")`): the comment."""

_NAMED = 3
"""How many programs a comment names."""


def evidence_of(recording: Recording) -> Evidence:
    """The evidence for the observed rules of a profile generated from `recording`."""
    seen: dict[tuple[str, ...], _Seen] = defaultdict(_Seen)
    serves = any(run.serves for run in recording.runs)
    executables = {executable.path for run in recording.runs for executable in run.executables} - {""}
    for run in Recording.of(recording.runs).runs:
        for call in run.syscalls:
            seen["syscalls", call.name].add(call.executable, call.count, call.phases)
        for arguments in run.arguments:
            if arguments.values is not None:
                values = render_values(RECORDED_ROWS[arguments.name], arguments.values)
                place = ("arguments", arguments.name, *values)
                seen[place].add(arguments.executable, arguments.count, arguments.phases)
        for capability in run.capabilities:
            if capability.granted and not capability.probing:
                inside = f" in {capability.syscall}" if capability.syscall else ""
                place = ("capabilities", capability.capability)
                seen[place].add(capability.executable + inside, capability.count, capability.phases)
        for file in run.files if len(executables) > 1 or serves else ():
            path = normal_path(file.path)
            if path is not None and file.result in CAN_HAVE_WORKED:
                seen["files", PathPattern.literal(path).text].add(file.executable, file.count, file.phases)
    comments = {
        place: text
        for place, each in sorted(seen.items())
        if (text := each.comment(serves=serves, counted=place[0] != "files" or len(executables) > 1))
    }
    runs = Recording.of(recording.runs).runs
    comments |= {("network", rule): text for rule, text in lookup_comments(runs)}
    return comments | {("limits", name): text for name, text in limit_comments(runs)}


class _Seen:
    """How often something was seen by which program, and in which phases."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._phases: set[Phase] = set()

    def add(self, program: str, count: int, phases: Iterable[Phase]) -> None:
        self._counts[program] += count
        self._phases.update(phases)

    def comment(self, *, serves: bool, counted: bool) -> str:
        """`serves`: something was seen in that phase, so that being seen in init only says something."""
        names = sorted({text.rpartition("/")[2] for text in self._counts})
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        how_often = f"×{self._counts.total()} {', '.join(names[:_NAMED])}{more}" if counted else ""
        early = "init only" if serves and self._phases == {Phase.INIT} else ""
        return ", ".join(part for part in (how_often, early) if part)
