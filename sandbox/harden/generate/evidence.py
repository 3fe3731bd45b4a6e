"""Why a rule is there, in a few words for a comment: how often, and which programs asked for it."""

from __future__ import annotations

from collections import Counter, defaultdict

from harden.model.need import normal_path
from harden.model.path_pattern import PathPattern
from harden.model.recording import Recording
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

__all__ = ["Evidence", "evidence_of"]

Evidence = dict[tuple[str, ...], str]
"""By place in a profile's rights (`("syscalls", "openat")`, `("arguments", "ioctl", "TCGETS")`): the comment."""

_NAMED = 3
"""How many programs a comment names."""


def evidence_of(recording: Recording) -> Evidence:
    """The evidence for the observed rules of a profile generated from `recording`."""
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    executables = {executable.path for run in recording.runs for executable in run.executables} - {""}
    for run in Recording.of(recording.runs).runs:
        for call in run.syscalls:
            counts["syscalls", call.name][call.executable] += call.count
        for arguments in run.arguments:
            if arguments.values is not None:
                values = render_values(ARGUMENT_ROWS[arguments.name], arguments.values)
                counts["arguments", arguments.name, *values][arguments.executable] += arguments.count
        for capability in run.capabilities:
            if capability.granted and not capability.probing:
                inside = f" in {capability.syscall}" if capability.syscall else ""
                counts["capabilities", capability.capability][capability.executable + inside] += capability.count
        for file in run.files if len(executables) > 1 else ():
            path = normal_path(file.path)
            if path is not None and file.result == "ok":
                counts["files", PathPattern.literal(path).text][file.executable] += file.count
    return {place: _comment(seen) for place, seen in sorted(counts.items())}


def _comment(seen: Counter[str]) -> str:
    names = sorted({text.rpartition("/")[2] for text in seen})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"×{seen.total()} {', '.join(names[:_NAMED])}{more}"
