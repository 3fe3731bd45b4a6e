"""The BPF recorder's maps that tell how often something was seen, and when first and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harden.model.seen import First
from harden.trace.bpf_object import BpfObject
from harden.trace.layout import (
    ArgumentKey,
    CapabilityKey,
    CountKey,
    RingKey,
    SeenKey,
    SignalKey,
    unpack_tallies,
)

__all__ = ["read_tallies"]

_MAPS: Final[Mapping[type[Any], str]] = {
    ArgumentKey: "arguments",
    CapabilityKey: "capabilities",
    CountKey: "counts",
    RingKey: "rings",
    SeenKey: "seen",
    SignalKey: "signals",
}
"""By the type of their keys."""


def read_tallies(bpf: BpfObject, start_ns: int) -> tuple[dict[type, dict[Any, int]], dict[type, dict[Any, First]]]:
    """How often and when first, by the type of the key; `start_ns` as of `unpack_tallies`. Raises KernelError."""
    counts: dict[type, dict[Any, int]] = {}
    firsts: dict[type, dict[Any, First]] = {}
    for type_, name in _MAPS.items():
        counts[type_], firsts[type_] = unpack_tallies(type_, bpf.read(name), start_ns)
    return counts, firsts
