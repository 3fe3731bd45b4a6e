"""A raw seccomp filter: an array of struct sock_filter, little-endian, as prctl(PR_SET_SECCOMP) and seccomp(2) take it.

Nothing is recognised by its shape: for every call of every ABI the program is walked with the arguments unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harden.bpf.action import KILL_THREAD
from harden.bpf.instruction import INSTRUCTION_SIZE, LARGEST_PROGRAM, decode
from harden.bpf.simulate import Simulator
from harden.check.finding import Location
from harden.check.foreign.bpf_walk import Answers, Walker
from harden.check.foreign.rule_filter import EVERY_MACHINE, permissiveness
from harden.check.foreign.source import WordLocator
from harden.check.subject import NotChecked, Reach, Subject, SubjectKind
from harden.errors import DocumentError, HardenError
from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.syscall import number_of, numbers

__all__ = ["ProgramFilter", "is_raw_bpf", "read_raw_bpf"]

_FOREIGN_ARCH: Final = 0x00000016
"""AUDIT_ARCH_PARISC: none of the machines here runs its ABI, so a filter that lets it through reads no arch."""
_UNHEARD_OF: Final = 0x0FFFFFFF
"""A number that no kernel has a call for."""
_SAMPLE: Final = range(1024)


class ProgramFilter:
    """A `SeccompFacet` over a program; HardenError for one that the kernel would refuse."""

    def __init__(self, content: bytes, machine: Arch | None = None) -> None:
        self._simulator = Simulator(decode(content))
        self._walker = Walker(self._simulator)
        self._answers: dict[tuple[int, int], Answers] = {}
        machine = machine or self._guess()
        self._examined: list[Arch] = []
        self._unexamined: list[Arch] = []
        for arch in EVERY_MACHINE[machine]:
            through, default = self._sketch(arch)
            if through and default and arch is not machine:
                self._unexamined.append(arch)
            elif through or arch is machine:
                self._examined.append(arch)

    @property
    def architectures(self) -> tuple[Arch, ...]:
        """The ABIs of which the program lets some calls through by a decision about that ABI."""
        return tuple(self._examined)

    @property
    def unchecked(self) -> tuple[Arch, ...]:
        """The ABIs whose calls it takes for another's, or lets through whatever their number."""
        return tuple(self._unexamined)

    @property
    def unknown(self) -> int:
        """The answer to a number that no call has, on the ABI among those examined that is given the most."""
        answers = [
            int(self._simulator.run(arch.audit_arch, _UNHEARD_OF | (X32_SYSCALL_BIT if arch is Arch.X32 else 0)))
            for arch in self._examined
        ]
        return max(answers, key=permissiveness)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The calls, among all that the ABIs examined have, whose walk was given up; sorted."""
        return tuple(
            sorted({n for a in self.architectures for n, nr in numbers(a).items() if not self._walk(a, nr).complete})
        )

    def reach(self, arch: Arch, name: str) -> Reach:
        """Whether the call gets through."""
        number = number_of(arch, name)
        return Reach.NEVER if number is None else self._walk(arch, number).reach

    def action(self, arch: Arch, name: str, arguments: Sequence[int]) -> int:
        """The program's answer to one call."""
        number = number_of(arch, name)
        if number is None:
            return int(KILL_THREAD)
        a, b, c, d, e, f = arguments
        return int(self._simulator.run(arch.audit_arch, number, (a, b, c, d, e, f)))

    def argument_values(self, name: str) -> tuple[tuple[int | None, ...], ...] | None:
        """None: a program has no list of values."""
        return None

    def _walk(self, arch: Arch, number: int) -> Answers:
        return self._walk_number(arch.audit_arch, number)

    def _walk_number(self, audit_arch: int, number: int) -> Answers:
        key = (audit_arch, number)
        if key not in self._answers:
            self._answers[key] = self._walker.walk(audit_arch, number)
        return self._answers[key]

    def _sketch(self, arch: Arch) -> tuple[bool, bool]:
        """Whether any call of `arch` gets through, and whether that is so without a decision about this ABI."""
        through = any(self._walk(arch, number).reach is not Reach.NEVER for number in numbers(arch).values())
        if not through:
            return False, False
        if arch is Arch.X32:
            # x32 shares x86_64's arch value: one answer for every number means that bit 30 was not looked at.
            answers = {self._walk(arch, number) for number in numbers(arch).values()}
            return True, len(answers) == 1
        same = all(self._walk(arch, number) == self._walk_number(_FOREIGN_ARCH, number) for number in _SAMPLE)
        return True, same

    def _guess(self) -> Arch:
        """x86_64, unless the program lets calls through on aarch64 only."""
        for arch in (Arch.X86_64, Arch.AARCH64):
            if any(self._walk(arch, number).reach is not Reach.NEVER for number in numbers(arch).values()):
                return arch
        return Arch.X86_64


def is_raw_bpf(data: bytes) -> bool:
    """Whether the bytes may be a program: whole instructions, and no text, because offsets and constants hold zeros."""
    return bool(data) and len(data) % INSTRUCTION_SIZE == 0 and b"\0" in data


def read_raw_bpf(data: bytes, file: str, name: str, machine: Arch | None = None) -> Subject:
    """The subject of one filter; DocumentError for a program that the kernel would refuse."""
    if len(data) > LARGEST_PROGRAM * INSTRUCTION_SIZE:
        raise DocumentError(
            file, f"has {len(data) // INSTRUCTION_SIZE} instructions; the kernel takes {LARGEST_PROGRAM}"
        )
    try:
        facet = ProgramFilter(data, machine)
    except HardenError as error:
        raise DocumentError(file, error.message, hint=error.hint) from None
    incomplete = facet.incomplete
    passed: tuple[NotChecked, ...] = ()
    if incomplete:
        text = f"the program is too involved to walk every path of: {', '.join(incomplete)}; they count as allowed"
        passed = (NotChecked(location=Location(file=file), text=text),)
    return Subject(
        name=name,
        file=file,
        kind=SubjectKind.RAW_BPF,
        locator=WordLocator(file, has_lines=False),
        seccomp=facet,
        not_checked=passed,
    )
