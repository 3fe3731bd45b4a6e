"""The recorders that `harden trace` has."""

from __future__ import annotations

import enum

__all__ = ["Backend"]


class Backend(enum.StrEnum):
    """What records a run."""

    BPF = "bpf"
    """Tracepoints: sees results, objects and capabilities; needs root or CAP_BPF, and a cgroup v2."""
    NOTIFY = "notify"
    """Seccomp user notification: needs no privilege."""
    AUTO = "auto"
    """bpf when it loads, else notify."""
