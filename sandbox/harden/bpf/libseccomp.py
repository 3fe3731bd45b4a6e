"""Compiles rules for the native architecture with libseccomp (seccomp_rule_add(3)); it loads nothing."""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Sequence

import msgspec

from harden.bpf.action import Action
from harden.bpf.instruction import INSTRUCTION_SIZE, LARGEST_PROGRAM, Instruction, decode
from harden.errors import HardenError
from harden.model.arch import Arch

__all__ = ["ArgumentRule", "Operator", "Rule", "compile_rules", "native_arch", "version"]


class Operator(enum.IntEnum):
    """enum scmp_compare: how an argument, 64 bits wide, is compared with `value`."""

    NE = 1
    LT = 2
    LE = 3
    EQ = 4
    GE = 5
    GT = 6
    MASKED_EQ = 7


class ArgumentRule(msgspec.Struct, frozen=True):
    """One comparison; `mask` counts for MASKED_EQ only."""

    index: int
    operator: Operator
    value: int
    mask: int = 0


class Rule(msgspec.Struct, frozen=True):
    """The action for one call when all comparisons hold; several rules on one call are alternatives."""

    action: Action
    number: int
    arguments: tuple[ArgumentRule, ...] = ()


def version() -> str:
    """The version of the libseccomp in use, such as `2.5.4`."""
    from harden._native._core import lib

    found = lib.seccomp_version()
    return f"{found.major}.{found.minor}.{found.micro}"


def native_arch() -> Arch | None:
    """The ABI that `compile_rules` compiles for; None when it is one that harden does not know."""
    from harden._native._core import lib

    token = lib.seccomp_arch_native()
    # x32 shares x86_64's value in audit.h, and libseccomp's own x32 token is not an AUDIT_ARCH value.
    return next((arch for arch in Arch if arch is not Arch.X32 and arch.audit_arch == token), None)


def compile_rules(rules: Sequence[Rule], default: Action) -> tuple[Instruction, ...]:
    """The program for `rules`, `default` where none matches, as a binary tree.

    A foreign architecture, x32 included, kills the process. Raises HardenError when libseccomp refuses a rule.
    """
    from harden._native._core import ffi, lib

    native = ffi.new("struct harden_scmp_rule[]", len(rules))
    for target, rule in zip(native, rules, strict=True):
        target.action, target.number, target.count = rule.action, rule.number, len(rule.arguments)
        for place, each in zip(target.arguments, rule.arguments, strict=False):
            place.arg, place.op = each.index, int(each.operator)
            masked = each.operator is Operator.MASKED_EQ
            place.datum_a, place.datum_b = (each.mask, each.value) if masked else (each.value, 0)
    capacity = 16 * LARGEST_PROGRAM * INSTRUCTION_SIZE
    buffer, failed = ffi.new("char[]", capacity), ffi.new("size_t *")
    length = lib.harden_scmp_compile(default, native, len(rules), buffer, capacity, failed)
    if length < 0:
        raise _error(-length, rules, failed[0])
    return decode(bytes(ffi.buffer(buffer, length)))


def _error(number: int, rules: Sequence[Rule], failed: int) -> HardenError:
    what = f"rule for system call {rules[failed].number}" if failed < len(rules) else f"filter of {len(rules)} rules"
    name = errno.errorcode.get(number, str(number))
    return HardenError(
        f"libseccomp {version()} did not compile the {what}: {name} ({os.strerror(number)})",
        hint="install a newer libseccomp, or report the profile as a fault of harden",
    )
