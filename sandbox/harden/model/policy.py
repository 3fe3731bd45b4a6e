"""The policy: what a team demands of profiles, as `harden check` reads it. Never the other way: it grants nothing."""

from __future__ import annotations

import datetime
import re
from typing import Final, Literal

import msgspec

from harden.model.capability import Capability, require_known
from harden.model.control import Control, Requirement
from harden.model.path_pattern import PathPattern
from harden.model.policy_network import NetworkDemand
from harden.model.profile import ArgumentTexts, parse_file_rights
from harden.model.recording import Completeness
from harden.model.resource_limit import LimitName, LimitValue, parse_limit
from harden.model.severity import Severity
from harden.model.syscall import is_known
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = [
    "MAX_EXPRESSION",
    "OFF",
    "POLICY_FORMAT",
    "Counts",
    "Demand",
    "Export",
    "Expression",
    "Policy",
    "Scope",
    "Waiver",
]

POLICY_FORMAT: Final = "harden-policy/1"
OFF: Final = "off"
MAX_EXPRESSION: Final = 1000
"""Characters of one CEL expression: the parser's stack is not unbounded."""

Level = Literal["off", "info", "low", "medium", "high", "critical"]
"""What a policy says of a check: its severity, or that it is not wanted."""

_ID: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One table of a policy."""


class Counts(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The most of each kind of right that a profile may have; `programs` are distinct paths with the right `exec`."""

    syscalls: int | None = None
    capabilities: int | None = None
    files: int | None = None
    network: int | None = None
    programs: int | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}: a count is at least 0")


class Export(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An exported file that must be there and be what `harden export` writes now."""

    format: str
    """A format of `harden export`."""
    file: str
    """Beside the profile; `{name}` stands for the profile's name."""

    def __post_init__(self) -> None:
        parts = self.file.split("/")
        if not self.file or self.file.startswith("/") or ".." in parts or "\0" in self.file:
            raise ValueError(f"{self.file!r}: an exported file is named relative to its profile, without '..'")


class Demand(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must and must not be in a profile. What is not given is not demanded.

    Where a policy extends another, or a scope adds to it, lists of what is forbidden or required grow; everything
    else is replaced.
    """

    forbidden_syscalls: tuple[str, ...] = ()
    required_syscalls: tuple[str, ...] = ()
    forbidden_while_serving: tuple[str, ...] = ()
    """System calls and capabilities that only a program's start may need: the recording beside the profile tells."""
    allowed_arguments: dict[str, tuple[ArgumentTexts, ...]] = {}
    """By call: the only combinations of its ruled arguments that may get through, `*` for any value."""
    forbidden_arguments: dict[str, tuple[ArgumentTexts, ...]] = {}
    allowed_capabilities: tuple[str, ...] | None = None
    """The only capabilities that may be granted."""
    forbidden_capabilities: tuple[str, ...] = ()
    forbidden_files: dict[str, str] = {}
    """By path pattern: the rights that must not be granted on anything it stands for."""
    allowed_programs: tuple[str, ...] | None = None
    """Path patterns: the only programs that may be executed, beside the workload's own."""
    allowed_families: tuple[str, ...] | None = None
    """AF_* names: the only families sockets may be made of."""
    allowed_network: tuple[str, ...] | None = None
    forbidden_network: tuple[str, ...] = ()
    controls: dict[Control, Requirement] = {}
    """What a profile must demand at least; resource limits (`memory`, `pids`, …) are controls too."""
    required_limits: tuple[LimitName, ...] = ()
    """What a profile must limit, however high."""
    max_limits: dict[LimitName, LimitValue] = {}
    """The most that a profile may allow of each; one without that limit allows more."""
    most: Counts = Counts()
    completeness: Completeness | None = None
    """The least that a recording must be worth: `complete`, or `opaque` to accept what cannot be seen."""
    min_runs: int | None = None
    """How many runs a profile must come from."""
    min_coverage: float | None = None
    """The least share, 0 to 1, of what further runs do that must have been seen, for every kind of `Coverage`."""
    max_age_days: int | None = None
    """Days since the profile was last committed."""
    exports: tuple[Export, ...] = ()
    verified: bool | None = None

    def __post_init__(self) -> None:
        for name in (*self.forbidden_syscalls, *self.required_syscalls):
            if not is_known(name):
                raise ValueError(f"unknown system call {name!r}")
        for name in self.forbidden_while_serving:
            if not is_known(name) and name not in Capability.__members__:
                raise ValueError(f"{name!r} is neither a system call nor a capability")
        for table in (self.allowed_arguments, self.forbidden_arguments):
            for name, rows in table.items():
                if name not in ARGUMENT_ROWS:
                    raise ValueError(f"arguments of {name!r} cannot be ruled on; only {', '.join(ARGUMENT_ROWS)}")
                for row in rows:
                    parse_values(ARGUMENT_ROWS[name], row)
        require_known((*(self.allowed_capabilities or ()), *self.forbidden_capabilities))
        for path, rights in self.forbidden_files.items():
            PathPattern.parse(path)
            parse_file_rights(rights)
        for path in self.allowed_programs or ():
            PathPattern.parse(path)
        for name in self.allowed_families or ():
            if not name.startswith("AF_"):
                raise ValueError(f"{name!r}: an address family is written AF_INET")
        for text in (*(self.allowed_network or ()), *self.forbidden_network):
            NetworkDemand.parse(text)
        for limit, value in self.max_limits.items():
            parse_limit(limit, value)
        if self.min_coverage is not None and not 0 <= self.min_coverage <= 1:
            raise ValueError(f"min_coverage {self.min_coverage}: a share is from 0 to 1")
        for number in (self.min_runs, self.max_age_days):
            if number is not None and number < 0:
                raise ValueError(f"{number}: a count is at least 0")


class Scope(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Demands of some profiles only: those whose name or whose file matches one of the globs."""

    profiles: tuple[str, ...] = ()
    """Globs over profile names."""
    paths: tuple[str, ...] = ()
    """Globs over files, relative to the folder `harden check` runs in; `**` crosses folders."""
    checks: dict[str, Level] = {}
    demand: Demand = Demand()

    def __post_init__(self) -> None:
        if not self.profiles and not self.paths:
            raise ValueError("a scope needs `profiles` or `paths`: without them it is about nothing")


class Waiver(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Accepts the findings of one check for a while, where all of the globs that are given match."""

    check: str
    reason: str
    until: datetime.date
    """The last day it is good for."""
    profile: str = "*"
    path: str = "**"
    subject: str = "*"
    """Glob over what the finding is about, as the report prints it; `*` crosses slashes here."""

    def __post_init__(self) -> None:
        if len(self.reason.split()) < 2:
            raise ValueError(f"reason {self.reason!r}: say in a few words why this is accepted")


class Expression(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A demand in CEL: true when the profile is as it should be. `harden check` gives it the profile's values."""

    id: str
    expression: str
    message: str
    """What is wrong when it is false."""
    why: str = ""
    fix: str = ""
    severity: Severity = Severity.MEDIUM

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"expression id {self.id!r}: lower-case words joined by '-'")
        if not self.message.strip():
            raise ValueError(f"expression {self.id}: its message is empty")
        if len(self.expression) > MAX_EXPRESSION:
            raise ValueError(f"expression {self.id}: longer than {MAX_EXPRESSION} characters")


class Policy(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One policy file."""

    format: Literal["harden-policy/1"]
    description: str
    """One sentence: for whom it is."""
    extends: str = ""
    """A preset's name, or a file beside this one."""
    checks: dict[str, Level] = {}
    demand: Demand = Demand()
    scope: tuple[Scope, ...] = ()
    waiver: tuple[Waiver, ...] = ()
    expression: tuple[Expression, ...] = ()
