"""Compiles a profile's rights to the program that seccomp(2) loads, and proves it before handing it out.

libseccomp compiles the calls of the native architecture. What it cannot express is put in front of its program: the
dispatch on architecture, ENOSYS for numbers that no table knows, x32, and whole tables of foreign architectures.
"""

from __future__ import annotations

import msgspec

from harden.bpf.action import ALLOW, ENOSYS, EPERM, KILL_PROCESS
from harden.bpf.assembly import Piece, assemble_table, gaps, load_number, refuse_ranges, returning, when
from harden.bpf.decision import NO_SYSCALL, Comparison, Decision, Table
from harden.bpf.instruction import ARCH_OFFSET, JEQ, JGE, JGT, LARGEST_PROGRAM, LOAD, Instruction, decode, encode
from harden.bpf.libseccomp import ArgumentRule, Operator, Rule, compile_rules, native_arch
from harden.bpf.verification import boundaries, verify
from harden.errors import HardenError
from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.profile import Rights

__all__ = ["CompiledFilter", "compile_decision", "compile_filter"]

_DOUBLE = 0xFFFFFFFFFFFFFFFF


class CompiledFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A program that was compared with its profile."""

    program: bytes
    """An array of struct sock_filter."""
    exec_cookie: int | None
    """What the launcher's execve has to carry in its sixth argument; None when it needs nothing."""
    compared: int
    """At how many calls the program was compared with the decision."""

    @property
    def instructions(self) -> int:
        """The length of the program."""
        return len(decode(self.program))


def compile_filter(rights: Rights, *, exec_cookie: int | None = None) -> CompiledFilter:
    """The filter for `rights`; with `exec_cookie` (64 random bits) the launcher may execve once more.

    Raises HardenError when libseccomp fails, the program is too long for the kernel, or it does not mean what the
    rights mean.
    """
    decision = Decision.of(rights, exec_cookie, launcher=_launcher_arch())
    program = compile_decision(decision)
    compared = verify(program, decision.action, boundaries(decision, program))
    return CompiledFilter(program=encode(program), exec_cookie=decision.exec_cookie, compared=compared)


def compile_decision(decision: Decision) -> tuple[Instruction, ...]:
    """The program for `decision`, not compared with it yet."""
    native = native_arch()
    program: Piece = [Instruction(LOAD, ARCH_OFFSET)]
    tokens = sorted({arch.audit_arch for arch in decision.tables})
    # The native architecture first: its calls are nearly all there will be.
    for token in sorted(tokens, key=lambda token: native is None or token != native.audit_arch):
        program += when(JEQ, token, _section(decision, token, native))
    program += returning(KILL_PROCESS)
    if len(program) > LARGEST_PROGRAM:
        raise HardenError(
            f"the filter has {len(program)} instructions, and the kernel takes {LARGEST_PROGRAM}",
            hint="grant fewer argument values, or all of a call's, in the profile's local file",
        )
    return tuple(program)


def _launcher_arch() -> Arch:
    native = native_arch()
    if native is None:
        raise HardenError(
            "this machine's architecture is not one that harden compiles filters for",
            hint=f"it knows {', '.join(Arch)}",
        )
    return native


def _section(decision: Decision, token: int, native: Arch | None) -> Piece:
    """All answers of one AUDIT_ARCH value."""
    own = decision.tables.get(next(arch for arch in Arch if arch.audit_arch == token and arch is not Arch.X32))
    body = load_number()
    if token == Arch.X86_64.audit_arch:
        x32 = decision.tables.get(Arch.X32)
        foreign = returning(KILL_PROCESS) if x32 is None else assemble_table(x32)
        body += when(JGE, X32_SYSCALL_BIT, when(JEQ, NO_SYSCALL, returning(ENOSYS)) + foreign)
    if own is None:
        return body + returning(KILL_PROCESS)
    if own.arch is native and own.unknown == ENOSYS:
        return body + _native(own)
    return body + assemble_table(own)


def _native(table: Table) -> Piece:
    known = [*table.actions, *table.conditions]
    piece = when(JGT, max(known), returning(table.unknown)) + refuse_ranges(gaps(known), table.unknown)
    rules = [Rule(action, number) for number, action in sorted(table.actions.items()) if action != EPERM]
    for number, conditions in sorted(table.conditions.items()):
        rules += (Rule(ALLOW, number, tuple(map(_argument_rule, condition))) for condition in conditions)
    return [*piece, *compile_rules(rules, EPERM)]


def _argument_rule(comparison: Comparison) -> ArgumentRule:
    if comparison.mask == _DOUBLE:
        return ArgumentRule(comparison.index, Operator.EQ, comparison.value)
    return ArgumentRule(comparison.index, Operator.MASKED_EQ, comparison.value, comparison.mask)
