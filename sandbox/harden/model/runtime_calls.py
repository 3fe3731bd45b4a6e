"""`profiles/runtimes.toml`: what container runtimes call between installing the filter and executing the program."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from harden.model.syscall import is_known
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["RUNTIMES_FORMAT", "Runtime", "RuntimeArguments", "RuntimeCalls", "Runtimes"]

RUNTIMES_FORMAT: Final = "harden-runtimes/1"


class RuntimeCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls of a runtime, and what it makes them for."""

    names: tuple[str, ...]
    reason: str


class RuntimeArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With which arguments it makes a call that can be ruled on."""

    syscall: str
    values: tuple[tuple[str, ...], ...]
    reason: str


class Runtime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One runtime, under no_new_privs: only then does it install the filter last."""

    name: str
    measured: tuple[str, ...]
    """The versions in which the set was measured."""
    calls: tuple[RuntimeCalls, ...]
    arguments: tuple[RuntimeArguments, ...] = ()

    def __post_init__(self) -> None:
        ruled = {entry.syscall for entry in self.arguments}
        for name in (name for entry in self.calls for name in entry.names):
            if not is_known(name):
                raise ValueError(f"unknown system call {name!r}")
            if name in ARGUMENT_ROWS and name not in ruled:
                raise ValueError(f"{self.name} needs {name!r} and must say with which arguments")
        for entry in self.arguments:
            for values in entry.values:
                parse_values(ARGUMENT_ROWS[entry.syscall], values)
        reasons = [entry.reason for entry in self.calls] + [entry.reason for entry in self.arguments]
        if not all(reason.strip() for reason in reasons):
            raise ValueError(f"every entry of {self.name} needs a reason")


class Runtimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All known runtimes."""

    format: Literal["harden-runtimes/1"]
    runtime: tuple[Runtime, ...]
