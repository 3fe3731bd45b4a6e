"""Recordings that no recorder wrote: refused with the run and the call, before anything is made of them."""

from __future__ import annotations

import msgspec
import pytest

from harden.errors import DocumentError
from harden.model.recording import Run, SyscallSeen
from tests.recordings import arguments, capability, profile_of, run, syscall


def renamed(name: str) -> SyscallSeen:
    return msgspec.structs.replace(syscall("read"), name=name)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (run(syscalls=(renamed("no_such_call"),)), "x86_64 has no system call 'no_such_call'"),
        (run(syscalls=(renamed("socketcall"),)), "x86_64 has no system call 'socketcall'"),
        (run(syscalls=(syscall("read"),), arguments=(arguments("nothing", (1,)),)), "no system call 'nothing'"),
        (run(syscalls=(syscall("socket"),), arguments=(arguments("socket", (1,)),)), "3 arguments .* not 1"),
        (run(syscalls=(syscall("socket"),), arguments=(arguments("socket", (1, 1, 1 << 64)),)), "protocol keeps"),
        (run(syscalls=(syscall("ioctl"),), arguments=(arguments("ioctl", (-1,)),)), "bits outside"),
        (run(capabilities=(capability("CAP_41"),)), "needs CAP_41, which no profile of this version"),
    ],
)
def test_what_does_not_exist_is_refused(wrong: Run, why: str) -> None:
    with pytest.raises(DocumentError, match=why) as caught:
        profile_of(run(syscalls=(syscall("write"),)), wrong)
    assert wrong.id in caught.value.message


def test_unknown_numbers_are_calls() -> None:
    """A kernel newer than this version's table."""
    assert "syscall_900" in profile_of(run(syscalls=(syscall("syscall_900"),))).rights.all_syscalls()


def test_a_newer_capability_that_was_refused_is_no_need() -> None:
    assert not profile_of(run(capabilities=(capability("CAP_41", granted=False),))).rights.all_capabilities()
