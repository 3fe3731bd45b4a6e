"""Changes between profiles, as the checks about them place them in the file."""

from __future__ import annotations

from typing import Final

from harden.check.subject import Section
from harden.model.diff import RightChange, RightKind

__all__ = ["section_of"]

_SECTIONS: Final = {
    RightKind.ARCHITECTURE: Section.ARCHITECTURE,
    RightKind.SYSCALL: Section.SYSCALL,
    RightKind.ARGUMENT: Section.ARGUMENT,
    RightKind.CAPABILITY: Section.CAPABILITY,
    RightKind.FILE: Section.FILE,
    RightKind.NETWORK: Section.NETWORK,
    RightKind.LIMIT: Section.LIMIT,
    RightKind.CONTROL: Section.DEFAULT,
    RightKind.WORKLOAD: Section.WORKLOAD,
}


def section_of(change: RightChange) -> Section:
    """Where the right stands in a profile."""
    return _SECTIONS[change.kind]
