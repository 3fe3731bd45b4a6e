"""Proof by simulation that a compiled filter says what a decision says, at every value where either could change.

A filter only compares words with constants, so the values that matter are the numbers and arguments named by the
decision, the constants of the program, and their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product

import msgspec

from harden.bpf.action import Action, describe
from harden.bpf.decision import Comparison, Condition, Decision
from harden.bpf.instruction import LOAD, Instruction, argument_offset
from harden.bpf.simulate import Arguments, Simulator, Suspended
from harden.errors import HardenError
from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.syscall import highest_number

__all__ = ["Point", "boundaries", "verify"]

_WORD = 0xFFFFFFFF
_DOUBLE = 0xFFFFFFFFFFFFFFFF
_LARGEST_PRODUCT = 1024
_ZEROS: Arguments = (0, 0, 0, 0, 0, 0)
_PLAIN: tuple[Arguments, ...] = (_ZEROS, (_DOUBLE,) * 6, (1, 2, 3, 4, 5, 6), (1 << 32,) * 6)


class Point(msgspec.Struct, frozen=True):
    """One call to compare: AUDIT_ARCH value, number, and the arguments to try where they matter to the program."""

    arch: int
    number: int
    arguments: tuple[Arguments, ...] = _PLAIN


Expected = Callable[[int, int, Sequence[int]], Action]
"""What should be answered to (arch, number, arguments)."""


def verify(program: Sequence[Instruction], expected: Expected, points: Iterable[Point]) -> int:
    """Compare program and `expected` at all points and at the program's own constants; the number of comparisons.

    Raises HardenError naming the first call on which they disagree, or the reason why the kernel would refuse the
    program.
    """
    simulator = Simulator(program)
    compared = 0
    for point in points:
        start = simulator.begin(point.arch, point.number)
        if isinstance(start, Suspended):
            extra = _program_arguments(simulator, start, point)
            for arguments in dict.fromkeys((*point.arguments, *extra)):
                found = simulator.finish(start, point.arch, point.number, arguments)
                if found != (wanted := expected(point.arch, point.number, arguments)):
                    raise _disagreement(point, arguments, found, wanted)
                compared += 1
        else:
            for arguments in point.arguments:
                if start != (wanted := expected(point.arch, point.number, arguments)):
                    raise _disagreement(point, arguments, start, wanted)
            compared += 1
    return compared


def boundaries(decision: Decision, program: Sequence[Instruction] = ()) -> Iterator[Point]:
    """Every point at which `decision` changes, and the numbers next to the constants of `program`."""
    known = {arch.audit_arch for arch in Arch}
    constants = _neighbours({each.k for each in program if each.code & 0x07 == 0x05})
    for token in sorted(known):
        tables = [decision.tables[abi] for abi in sorted(decision.tables) if abi.audit_arch == token]
        conditions = {nr: found for table in tables for nr, found in table.conditions.items()}
        for number in sorted(_numbers(token) | (constants if tables else set()) | conditions.keys()):
            if number in conditions:
                yield Point(token, number, tuple(dict.fromkeys(_arguments(conditions[number]))))
            else:
                yield Point(token, number)
    foreign = {each ^ (1 << bit) for each in known for bit in range(32)} | _neighbours({*known, 0, _WORD})
    for token in sorted(foreign - known):
        for number in (0, 59, X32_SYSCALL_BIT, X32_SYSCALL_BIT | 59, _WORD):
            yield Point(token, number)


def _numbers(token: int) -> set[int]:
    abis = [abi for abi in Arch if abi.audit_arch == token]
    highest = max(highest_number(abi) & ~X32_SYSCALL_BIT for abi in abis)
    every = set(range(highest + 3))
    shifted = {number | X32_SYSCALL_BIT for number in every} if Arch.X32 in abis else set()
    return every | shifted | _neighbours({X32_SYSCALL_BIT, 1 << 31, _WORD})


def _neighbours(values: Iterable[int], limit: int = _WORD) -> set[int]:
    return {near & limit for value in values for near in (value - 1, value, value + 1)}


def _arguments(conditions: Sequence[Condition]) -> Iterator[Arguments]:
    """The arguments that satisfy each condition, with one argument at a time moved over its boundaries."""
    candidates: dict[int, set[int]] = {}
    for each in (each for condition in conditions for each in condition):
        candidates.setdefault(each.index, {0, 1, _WORD, 1 << 31, 1 << 32, _DOUBLE}).update(_near(each))
    yield from _PLAIN
    moved: set[tuple[int, Arguments]] = set()
    flipped: set[Comparison] = set()
    for condition in conditions:
        base = list(_ZEROS)
        for each in condition:
            base[each.index] = each.value
        yield _six(base)
        yield _six([value if index in candidates else _DOUBLE for index, value in enumerate(base)])
        for index, values in candidates.items():
            rest = (index, _moved(base, index, 0))
            if rest not in moved:
                moved.add(rest)
                yield from (_moved(base, index, value) for value in sorted(values))
        for each in condition:
            if each not in flipped:
                # Bits of the unused half are the same test for every value, and garbage there is among the candidates.
                width = 64 if each.mask > _WORD or not flipped else 32
                flipped.add(each)
                yield from (_moved(base, each.index, each.value ^ (1 << bit)) for bit in range(width))
    yield from islice(_mixtures(conditions), _LARGEST_PRODUCT)


def _near(each: Comparison) -> set[int]:
    """The value, its neighbours, its halves alone, and the value with garbage outside the mask."""
    halves = {each.value & _WORD, each.value >> 32, each.value & _WORD << 32, each.value ^ _WORD << 32}
    return _neighbours({each.value}, _DOUBLE) | halves | {each.value | ~each.mask & _DOUBLE}


def _mixtures(conditions: Sequence[Condition]) -> Iterator[Arguments]:
    """Every combination of the values that any condition names."""
    named: dict[int, set[int]] = {}
    for each in (each for condition in conditions for each in condition):
        named.setdefault(each.index, {0}).add(each.value)
    for values in product(*(sorted(named[index]) for index in sorted(named))):
        chosen = dict(zip(sorted(named), values, strict=True))
        yield _six([chosen.get(index, 0) for index in range(6)])


def _program_arguments(simulator: Simulator, start: Suspended, point: Point) -> Iterator[Arguments]:
    """Arguments next to the constants that the rest of the program compares arguments with, two at a time at most."""
    words: set[tuple[int, int]] = set()
    constants: set[int] = set()
    for each in simulator.reachable(start):
        if each.code == LOAD and each.k >= argument_offset(0):
            words.add(((each.k - argument_offset(0)) // 8, 32 if each.k % 8 else 0))
        elif each.code & 0x07 == 0x05 and each.code & 0xF0:
            constants.add(each.k)
    near = sorted(_neighbours(constants))
    for base in point.arguments[:2]:
        for index, shift in sorted(words):
            rest = base[index] & _DOUBLE & ~(_WORD << shift)
            for value in near:
                yield _moved(base, index, rest | value << shift)
    indices = sorted({index for index, _ in words})
    if len(near) ** len(indices) <= _LARGEST_PRODUCT:
        for values in product(near, repeat=len(indices)):
            chosen = dict(zip(indices, values, strict=True))
            yield _six([chosen.get(index, 0) for index in range(6)])


def _moved(base: Sequence[int], index: int, value: int) -> Arguments:
    return _six([*base[:index], value, *base[index + 1 :]])


def _six(values: Sequence[int]) -> Arguments:
    a, b, c, d, e, f = values
    return (a, b, c, d, e, f)


def _disagreement(point: Point, arguments: Arguments, found: Action, wanted: Action) -> HardenError:
    shown = ", ".join(f"{value:#x}" for value in arguments)
    return HardenError(
        f"the compiled filter answers {describe(found)} to system call {point.number} ({shown}) of architecture "
        f"{point.arch:#010x}, where the profile means {describe(wanted)}; it was not used",
        hint="install a newer libseccomp or report the profile as a fault of harden",
    )
