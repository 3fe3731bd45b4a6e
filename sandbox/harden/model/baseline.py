"""The shipped data that generation adds to what was seen: the baseline and the families of system calls."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from harden.model.arch import Arch
from harden.model.path_pattern import PathPattern
from harden.model.profile import parse_file_rights
from harden.model.syscall import number_of
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = [
    "BASELINE_FORMAT",
    "FAMILIES_FORMAT",
    "Baseline",
    "BaselineAnswer",
    "BaselineArguments",
    "BaselineFiles",
    "BaselineSyscalls",
    "Families",
]

BASELINE_FORMAT: Final = "harden-baseline/1"
FAMILIES_FORMAT: Final = "harden-families/1"


class _Reasoned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Anything that is granted without having been seen says why."""

    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("every entry of the baseline needs a reason")


class BaselineSyscalls(_Reasoned, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """System calls that a program may need without ever showing it in a recording."""

    names: tuple[str, ...]


class BaselineArguments(_Reasoned, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Argument combinations that are allowed whenever the call is, if its arguments are ruled at all."""

    syscall: str
    values: tuple[tuple[str, ...], ...]


class BaselineFiles(_Reasoned, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """File rights that every profile grants."""

    path: str
    rights: str


class BaselineAnswer(_Reasoned, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that depends on what a file of the machine says: granted, with these arguments, where it was read."""

    path: str
    syscall: str
    values: tuple[tuple[str, ...], ...] = ()
    """Empty for a call that has no row of arguments."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`profiles/baseline.toml`."""

    format: Literal["harden-baseline/1"]
    syscalls: tuple[BaselineSyscalls, ...] = ()
    arguments: tuple[BaselineArguments, ...] = ()
    files: tuple[BaselineFiles, ...] = ()
    answers: tuple[BaselineAnswer, ...] = ()

    def __post_init__(self) -> None:
        ruled = {entry.syscall for entry in self.arguments}
        for name in (name for entry in self.syscalls for name in entry.names):
            _check_name(name)
            if name in ARGUMENT_ROWS and name not in ruled:
                raise ValueError(f"the baseline grants {name!r} and must say with which arguments")
        for entry in self.arguments:
            for values in entry.values:
                parse_values(ARGUMENT_ROWS[entry.syscall], values)
        for files in self.files:
            PathPattern.parse(files.path)
            parse_file_rights(files.rights)
        for answer in self.answers:
            PathPattern.parse(answer.path)
            _check_name(answer.syscall)
            if bool(answer.values) != (answer.syscall in ARGUMENT_ROWS):
                raise ValueError(
                    f"the answer to {answer.path!r} must say with which arguments {answer.syscall!r} is made"
                )
            for values in answer.values:
                parse_values(ARGUMENT_ROWS[answer.syscall], values)


class Families(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`profiles/families.toml`: calls that do the same and that a C library may exchange for one another."""

    format: Literal["harden-families/1"]
    families: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for name in (name for family in self.families for name in family):
            _check_name(name)


def _check_name(name: str) -> None:
    if all(number_of(arch, name) is None for arch in Arch):
        raise ValueError(f"unknown system call {name!r}")
