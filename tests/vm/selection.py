"""Which tests run in the guests, and what every guest must have."""

from __future__ import annotations

from typing import Final

import pytest

from tests.feature_probes import FEATURES

__all__ = ["GUEST_FEATURES", "is_for_after", "is_for_guests"]

ONLY_IN_GUESTS: Final = frozenset({"apparmor", "guest"}) | {name for name in FEATURES if name.startswith("cgroup2-")}
"""Features that some machines, such as CI's, lack: their tests run in every guest."""

GUEST_FEATURES: Final = (
    *sorted(ONLY_IN_GUESTS),
    *("root", "userns", "bpf", "bpf-stacks", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "nobody"),
    *("gcc", "sqlite3", "apparmor-parser", "python3", "ip", "x86_64", "audit"),
    *("nginx", "ab", "redis", "curl", "memcached", "postgres", "git", "openssl"),
)
"""What a guest must have: there a test that needs one of these fails instead of being skipped."""


def is_for_guests(item: pytest.Item) -> bool:
    """Whether a test runs in every guest."""
    return item.get_closest_marker("every_kernel") is not None or bool(features_of(item) & ONLY_IN_GUESTS)


def is_for_after(item: pytest.Item) -> bool:
    """Whether a test runs on the host and judges what the guests left behind."""
    return "guests-done" in features_of(item)


def features_of(item: pytest.Item) -> frozenset[str]:
    """What a test requires."""
    return frozenset(name for marker in item.iter_markers("requires") for name in marker.args)
