"""The BPF recorder's programs as features of the host, for `harden doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harden.model.host_feature import HostFeature
from harden.trace.probe import ProgramState

__all__ = ["recorder_features"]


_OTHER: Final = (
    "harden trace records by user notification: slower, without results and capabilities; "
    "harden verify and refine, which cannot do without them, refuse"
)


def recorder_features(states: Sequence[ProgramState], *, notify: bool) -> tuple[HostFeature, ...]:
    """One feature for what every recording needs, one for the hooks on capability checks: any of those is enough.

    `notify`: user notification can record in their place, so that neither is required.
    """
    essential = [state for state in states if state.essential]
    hooks: dict[str, list[ProgramState]] = {}
    for state in states:
        if state.capability_hook:
            hooks.setdefault(state.capability_hook, []).append(state)
    working = [hook for hook, programs in hooks.items() if all(state.works for state in programs)]
    broken = next((state for state in essential if not state.works), None)
    refused = next((state for programs in hooks.values() for state in programs if not state.works), None)
    return (
        HostFeature(
            feature="bpf-recorder",
            works=broken is None,
            required=not notify,
            detail=f"{len(essential)} tracepoint programs load" if broken is None else broken.reason,
            lost=_OTHER if notify else "harden trace records nothing",
            fix=broken.hint if broken else "",
        ),
        HostFeature(
            feature="bpf-capabilities",
            works=bool(working),
            required=not notify,
            detail=f"hooks that work: {', '.join(working)}" if working else (refused.reason if refused else "no hook"),
            lost=_OTHER if notify else "harden trace cannot see which capabilities are needed, and refuses",
            fix=refused.hint if refused and not working else "",
        ),
    )
