"""Somebody else's profiles as subjects: container seccomp JSON, systemd units, AppArmor profiles, raw BPF filters."""

from __future__ import annotations

from harden.check.foreign.reader import read_foreign

__all__ = ["read_foreign"]
