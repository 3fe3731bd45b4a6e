"""A seccomp filter that is written as rules: a default action, and per call actions with conditions on its arguments.

Where several rules match one call, the most permissive decides. libseccomp's choice depends on the order in which
rules were added; what it lets through is never more than this.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from harden.bpf.action import ALLOW
from harden.check.passage import lets_through
from harden.check.subject import Reach
from harden.model.arch import Arch
from harden.model.syscall import number_of

__all__ = ["EVERY_MACHINE", "ArgumentTest", "CallRule", "Operator", "RuleFilter", "permissiveness"]

EVERY_MACHINE: Final[Mapping[Arch, tuple[Arch, ...]]] = {
    Arch.X86_64: (Arch.I386, Arch.X32, Arch.X86_64),
    Arch.AARCH64: (Arch.AARCH64,),
}
"""Native ABI to every ABI that its kernel may run, sorted."""

_ACTION_BITS: Final = 0xFFFF0000
_KILL_PROCESS: Final = 0x80000000
_LARGEST: Final = 0xFFFFFFFFFFFFFFFF
_MOST_COMBINATIONS: Final = 20_000
"""Argument combinations that are tried for one call."""
_MOST_COMPARISONS: Final = 400_000
"""Combinations times rules."""

Operator = str
"""One of `==`, `!=`, `<`, `<=`, `>`, `>=`, `&` (masked equality)."""


class ArgumentTest(msgspec.Struct, frozen=True):
    """A comparison of argument `index`, all of 64 bits; `mask` counts for the operator `&` only."""

    index: int
    operator: Operator
    value: int
    mask: int = _LARGEST

    def holds(self, arguments: Sequence[int]) -> bool:
        """Whether the call's arguments pass."""
        found = arguments[self.index] & _LARGEST
        match self.operator:
            case "==":
                return found == self.value
            case "!=":
                return found != self.value
            case "<":
                return found < self.value
            case "<=":
                return found <= self.value
            case ">":
                return found > self.value
            case ">=":
                return found >= self.value
            case _:
                return found & self.mask == self.value

    def boundaries(self) -> Iterable[int]:
        """Values of the argument on both sides of the comparison."""
        near = (self.value, self.value + 1, self.value - 1, self.value | (~self.mask & _LARGEST))
        flipped = (self.value ^ (self.mask & -self.mask), self.value ^ 1 << max(self.mask.bit_length() - 1, 0))
        return (each & _LARGEST for each in (*near, *flipped, 0, _LARGEST))


class CallRule(msgspec.Struct, frozen=True):
    """The answer to a call when every test holds; always, when there is none."""

    action: int
    tests: tuple[ArgumentTest, ...] = ()


class RuleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A `SeccompFacet` over rules that are the same on every architecture it examines."""

    architectures: tuple[Arch, ...]
    unchecked: tuple[Arch, ...] = ()
    default: int
    rules: Mapping[str, tuple[CallRule, ...]]
    limits: Mapping[Arch, Mapping[str, tuple[CallRule, ...]]] = {}
    """Refusals by further filters on the same task: where one of these matches, nothing else lets the call through."""

    @property
    def unknown(self) -> int:
        """The answer to a call that nothing names."""
        return self.default

    def reach(self, arch: Arch, name: str) -> Reach:
        """Whether the call gets through; answers are tried on both sides of every comparison."""
        if number_of(arch, name) is None:
            return Reach.NEVER
        if arch not in self.architectures:
            return Reach.ALWAYS if arch in self.unchecked else Reach.NEVER
        rules = (*self.rules.get(name, ()), *self._limits(arch, name))
        tests = [test for rule in rules for test in rule.tests]
        values = [sorted({0, *(v for t in tests if t.index == index for v in t.boundaries())}) for index in range(6)]
        most = min(_MOST_COMBINATIONS, _MOST_COMPARISONS // (len(rules) + 1))
        seen: set[bool] = set()
        for arguments in itertools.islice(itertools.product(*values), most):
            seen.add(lets_through(self.action(arch, name, arguments)))
            if len(seen) == 2:
                return Reach.SOMETIMES
        if True in seen:
            return Reach.ALWAYS
        # Where not every combination was tried, that nothing gets through has not been shown.
        return Reach.NEVER if math.prod(map(len, values)) <= most else Reach.SOMETIMES

    def action(self, arch: Arch, name: str, arguments: Sequence[int]) -> int:
        """The most permissive answer of the rules that match, else the default; a limit that refuses goes before."""
        if arch not in self.architectures:
            return ALLOW if arch in self.unchecked else 0
        for rule in self._limits(arch, name):
            if all(test.holds(arguments) for test in rule.tests):
                return rule.action
        found = [rule.action for rule in self.rules.get(name, ()) if all(test.holds(arguments) for test in rule.tests)]
        return max(found, key=permissiveness, default=self.default)

    def argument_values(self, name: str) -> tuple[tuple[int | None, ...], ...] | None:
        """None: these formats compare arguments in ways that no list of values says."""
        return None

    def _limits(self, arch: Arch, name: str) -> tuple[CallRule, ...]:
        return self.limits.get(arch, {}).get(name, ())


def permissiveness(action: int) -> tuple[bool, int]:
    """A key that orders answers, the most permissive last; after what passes the kernel's own order holds."""
    kind = action & _ACTION_BITS
    return lets_through(action), kind if kind != _KILL_PROCESS else -1
