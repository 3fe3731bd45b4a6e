"""Raw filters as subjects: the walk agrees with the decision a filter was compiled from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from harden.bpf.compile import compile_decision
from harden.bpf.decision import Decision
from harden.bpf.instruction import JEQ, JGE, LOAD, RETURN, Instruction, encode
from harden.check.foreign import read_foreign
from harden.check.passage import lets_through
from harden.check.profile_subject import ProfileSeccomp
from harden.check.subject import Reach, SubjectKind
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import numbers
from tests.bpf.sample_rights import SAMPLES, SHELL, arbitrary_rights

ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0
X86_64 = Arch.X86_64


def facet(*program: Instruction):
    found = read_foreign(encode(program), "filter.bpf").seccomp
    assert found is not None
    return found


def compiled(rights: Rights) -> bytes:
    return encode(compile_decision(Decision.of(rights)))


def agree(rights: Rights) -> None:
    subject = read_foreign(compiled(rights), "filter.bpf", machine=X86_64)
    assert subject.seccomp is not None
    assert subject.not_checked == ()
    assert subject.seccomp.unchecked == ()
    wanted = ProfileSeccomp(rights)
    for arch in (Arch.X86_64, Arch.X32, Arch.I386):
        for name in numbers(arch):
            expected = wanted.reach(arch, name)
            found = subject.seccomp.reach(arch, name)
            if expected is Reach.SOMETIMES:
                # A list of values may leave nothing, or everything, of an argument of few bits.
                assert found in (Reach.SOMETIMES, Reach.NEVER, Reach.ALWAYS)
            else:
                assert found is expected, (arch, name)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_agree_with_their_decision(name):
    agree(SAMPLES[name])


@given(arbitrary_rights(arches=(Arch.X86_64, Arch.I386, Arch.X32)))
@settings(max_examples=12, deadline=None)
def test_any_rights_agree_with_their_decision(rights):
    agree(rights)


def test_both_abis_of_a_filter_are_examined():
    subject = read_foreign(compiled(SHELL), "shell.bpf")
    assert subject.kind is SubjectKind.RAW_BPF
    assert subject.name == "shell"
    assert subject.seccomp is not None
    assert subject.seccomp.architectures == (Arch.I386, Arch.X86_64)
    assert subject.seccomp.reach(X86_64, "unshare") is Reach.SOMETIMES
    assert subject.seccomp.reach(X86_64, "ptrace") is Reach.NEVER


def test_a_filter_that_reads_no_arch_leaves_the_others_unchecked():
    found = facet(
        Instruction(LOAD, 0), Instruction(JEQ, 101, 0, 1), Instruction(RETURN, EPERM), Instruction(RETURN, ALLOW)
    )
    assert found.architectures == (X86_64,)
    assert found.unchecked == (Arch.I386, Arch.X32)
    assert found.unknown == ALLOW
    assert found.reach(X86_64, "ptrace") is Reach.NEVER
    # Number 101 is ioperm on i386: ptrace is number 26 there, which this filter lets through.
    assert found.reach(Arch.I386, "ptrace") is Reach.ALWAYS


def test_a_filter_that_lets_other_arches_through_leaves_them_unchecked():
    found = facet(
        Instruction(LOAD, 4),
        Instruction(JEQ, X86_64.audit_arch, 0, 4),
        Instruction(LOAD, 0),
        Instruction(JGE, 0x40000000, 1, 0),
        Instruction(JEQ, 0, 1, 0),
        Instruction(RETURN, KILL),
        Instruction(RETURN, ALLOW),
    )
    assert found.architectures == (X86_64,)
    assert found.unchecked == (Arch.I386,)


def test_a_deny_list_without_bit_30_leaves_x32_unchecked():
    found = facet(
        Instruction(LOAD, 4),
        Instruction(JEQ, X86_64.audit_arch, 0, 3),
        Instruction(LOAD, 0),
        Instruction(JEQ, 101, 1, 0),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, KILL),
    )
    assert found.unchecked == (Arch.X32,)


def test_an_allow_list_is_examined():
    found = facet(
        Instruction(LOAD, 4),
        Instruction(JEQ, X86_64.audit_arch, 0, 3),
        Instruction(LOAD, 0),
        Instruction(JEQ, 0, 0, 1),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, KILL),
    )
    assert found.unchecked == ()
    assert found.unknown == KILL
    assert [name for name in numbers(X86_64) if found.reach(X86_64, name) is not Reach.NEVER] == ["read"]
    assert lets_through(found.action(X86_64, "read", (0,) * 6))


def test_a_filter_for_aarch64_is_told_by_what_it_lets_through():
    found = facet(
        Instruction(LOAD, 4),
        Instruction(JEQ, Arch.AARCH64.audit_arch, 0, 3),
        Instruction(LOAD, 0),
        Instruction(JEQ, 63, 0, 1),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, KILL),
    )
    assert found.architectures == (Arch.AARCH64,)
    assert found.reach(Arch.AARCH64, "read") is Reach.ALWAYS


def test_an_analysis_that_was_given_up_is_noted():
    subject = read_foreign(
        encode(
            (
                Instruction(LOAD, 16),
                Instruction(0x24, 3),
                Instruction(JEQ, 9, 0, 1),
                Instruction(RETURN, EPERM),
                Instruction(RETURN, KILL),
            )
        ),
        "odd.bpf",
    )
    assert len(subject.not_checked) == 1
    assert "ptrace" in subject.not_checked[0].text
    assert subject.seccomp is not None
    assert subject.seccomp.reach(X86_64, "ptrace") is not Reach.NEVER


@pytest.mark.parametrize(
    "data",
    [
        b"\x06\0\0\0\0\0\xff\x7f\0",
        encode((Instruction(LOAD, 0),)),
        encode((Instruction(JEQ, 0, 5, 5), Instruction(RETURN, 0))),
        b"\0" * 8,
        encode((Instruction(RETURN, 0),)) * 4097,
    ],
    ids=["odd length", "no return", "jumps out", "unknown instruction", "too long"],
)
def test_what_the_kernel_would_refuse_is_refused(data):
    with pytest.raises(DocumentError, match=r"^filter\.bpf"):
        read_foreign(data, "filter.bpf")


def test_a_mask_whose_every_value_is_ruled_leaves_nothing_to_refuse():
    """mmap with each of write and execute allowed, and both, and neither: what remains is no call at all."""
    every = (("0",), ("PROT_EXEC",), ("PROT_WRITE",), ("PROT_WRITE|PROT_EXEC",))
    rights = Rights(
        architectures=(Arch.X86_64,),
        syscalls={Origin.OBSERVED: ("mmap",)},
        arguments={"mmap": {Origin.OBSERVED: every}},
    )
    agree(rights)
