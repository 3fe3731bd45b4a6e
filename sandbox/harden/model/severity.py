"""How much a finding matters: the words of policies, of `--fail-on` and of every output."""

from __future__ import annotations

import enum

__all__ = ["Severity"]


class Severity(enum.StrEnum):
    """How much a finding matters, least first."""

    INFO = "info"
    """Worth knowing; nothing has to change."""
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
    """What is checked holds nobody back."""

    @property
    def rank(self) -> int:
        """0 for info, 4 for critical."""
        return list(Severity).index(self)
