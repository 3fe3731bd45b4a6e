"""Names for counters: calls, arguments, capabilities, gaps."""

from __future__ import annotations

import errno

import pytest

from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.recording import ArgumentsSeen, CapabilityNamespace, Gap, GapKind, Phase
from harden.model.seen import First
from harden.trace.decode import (
    Program,
    decode_arguments,
    decode_capabilities,
    decode_programs,
    decode_syscalls,
)
from harden.trace.decode_gaps import decode_gaps
from harden.trace.errno_name import errno_name
from harden.trace.layout import (
    LOSSES,
    SERVING,
    ArgumentKey,
    CapabilityKey,
    CapabilityMark,
    CombinationKey,
    CountKey,
    Mark,
)
from harden.trace.observations import Observations
from tests.trace.sample_observations import executable, names, nr, observe

NATIVE, X32, COMPAT = 0, 1, 2


def decoded(observations: Observations) -> dict[int, Program]:
    return decode_programs(observations.events)


def test_calls_of_one_path_are_added_up_whatever_their_numbers():
    counts = {CountKey(1, NATIVE, nr("read"), 0): 3, CountKey(2, NATIVE, nr("read"), 0): 4}
    observations = observe(executable(2, "/bin/program"), counts=counts)
    (call,) = decode_syscalls(observations, decoded(observations))
    assert (call.executable, call.name, call.count, call.errors) == ("/bin/program", "read", 7, {})


def test_of_what_is_added_up_the_first_time_is_the_earliest():
    """A call that ends in `serving` may have begun, and counted nothing, in `init`."""
    one, other = CountKey(1, NATIVE, nr("read"), 0), CountKey(2, NATIVE, nr("read"), 0)
    failed, waited = one._replace(error=errno.EAGAIN), CountKey(1 | SERVING, NATIVE, nr("accept"), 0)
    begun = waited._replace(executable=1)
    firsts = {one: First(9, 3), other: First(7, 2), failed: First(12, 4), begun: First(1, 5), waited: First(20, 6)}
    observations = observe(
        executable(2, "/bin/program"),
        counts={one: 1, other: 1, failed: 1, waited: 1},
        firsts={CountKey: firsts},
    )
    accept, read = sorted(decode_syscalls(observations, decoded(observations)), key=lambda call: call.name)
    assert (read.count, read.first_us, read.process) == (2, 7, 2)
    assert (accept.phases, accept.first_us, accept.process) == ((Phase.SERVING,), 1, 5)


def test_a_key_of_another_kind_with_the_same_numbers_has_another_first_time():
    seen, key = CountKey(1, 0, nr("read"), 0), ArgumentKey(1, nr("socket"), 1, 0, 0)
    observations = observe(counts={seen: 1}, arguments={key: 1}, firsts={ArgumentKey: {key: First(4, 2)}})
    (call,) = decode_syscalls(observations, decoded(observations))
    (arguments,) = decode_arguments(observations, decoded(observations))
    assert (call.first_us, call.process) == (None, None)
    assert (arguments.first_us, arguments.process) == (4, 2)


def test_errors_are_named():
    counts = {
        CountKey(1, NATIVE, nr("read"), 0): 9,
        CountKey(1, NATIVE, nr("read"), errno.EAGAIN): 2,
        CountKey(1, NATIVE, nr("read"), 512): 1,
    }
    observations = observe(counts=counts)
    (call,) = decode_syscalls(observations, decoded(observations))
    assert (call.count, call.errors) == (9, {"EAGAIN": 2, "ERESTARTSYS": 1})


def test_a_call_that_only_ended_is_counted_by_its_errors():
    observations = observe(counts={CountKey(1, NATIVE, nr("ptrace"), errno.EPERM): 2})
    (call,) = decode_syscalls(observations, decoded(observations))
    assert (call.count, call.errors) == (2, {"EPERM": 2})


@pytest.mark.parametrize(
    ("abi", "number", "arch", "name"),
    [
        (COMPAT, 20, Arch.I386, "getpid"),
        (X32, 0x40000000 | 39, Arch.X32, "getpid"),
        (NATIVE, 2000, Arch.X86_64, "syscall_2000"),
    ],
)
def test_every_abi_has_its_own_table(abi, number, arch, name):
    observations = observe(counts={CountKey(1, abi, number, 0): 1})
    (call,) = decode_syscalls(observations, decoded(observations))
    assert (call.arch, call.name) == (arch, name)


def test_a_foreign_abi_is_a_gap():
    observations = observe(counts={CountKey(1, COMPAT, 20, 0): 3})
    assert decode_gaps(observations, decoded(observations)) == (
        Gap(kind=GapKind.FOREIGN_ARCH, detail="i386 system calls", count=3),
    )


def test_arguments_have_the_values_of_their_row():
    arguments = {ArgumentKey(1, nr("socket"), 2, 1, 6): 4, ArgumentKey(1, nr("prctl"), 15, 0, 0): 1}
    observations = observe(arguments=arguments)
    assert [(one.name, one.values, one.count) for one in decode_arguments(observations, decoded(observations))] == [
        ("prctl", (15,), 1),
        ("socket", (2, 1, 6), 4),
    ]


def test_beyond_the_limit_nothing_is_said_of_the_arguments():
    observations = observe(
        counts={CountKey(1, NATIVE, nr("ioctl"), 0): 100},
        arguments={ArgumentKey(1, nr("ioctl"), 1, 0, 0): 7},
        combinations={CombinationKey(1, nr("ioctl")): 65},
    )
    assert decode_arguments(observations, decoded(observations)) == (
        ArgumentsSeen(executable="/bin/program", arch=Arch.X86_64, name="ioctl", values=None, count=100),
    )


def capability(marks: int, *, call: int | None = None, stack: int = -1) -> CapabilityKey:
    return CapabilityKey(1, nr("chown") if call is None else call, stack, Capability.CAP_CHOWN, marks)


@pytest.mark.parametrize(
    ("key", "namespace", "granted", "probing", "syscall"),
    [
        (capability(CapabilityMark.GRANTED), "sandbox", True, False, "chown"),
        (capability(0), "sandbox", False, False, "chown"),
        (capability(CapabilityMark.HOST), "host", False, False, "chown"),
        (capability(CapabilityMark.NOAUDIT), "sandbox", False, True, "chown"),
        (capability(CapabilityMark.OVERRIDDEN), "sandbox", False, True, "chown"),
        (capability(0, stack=7), "sandbox", False, True, "chown"),
        (capability(0, stack=8), "sandbox", False, False, "chown"),
        (capability(0, call=-1), "sandbox", False, False, ""),
        (capability(CapabilityMark.COMPAT, call=182), "sandbox", False, False, "chown"),
    ],
)
def test_capability_checks(key, namespace, granted, probing, syscall):
    observations = observe(capabilities={key: 2}, probing_stacks=frozenset({7}))
    (seen,) = decode_capabilities(observations, decoded(observations))
    assert (seen.capability, seen.namespace, seen.granted) == ("CAP_CHOWN", CapabilityNamespace(namespace), granted)
    assert (seen.probing, seen.syscall, seen.count) == (probing, syscall, 2)


@pytest.mark.parametrize("loss", [*LOSSES, "memory", "skipped"])
def test_every_loss_is_a_gap(loss):
    observations = observe(losses={loss: 3})
    (gap,) = decode_gaps(observations, decoded(observations))
    assert gap.count == 3


def test_an_executable_whose_event_is_missing_is_a_gap():
    observations = observe(counts={CountKey(9, NATIVE, 0, 0): 1})
    assert [gap.kind for gap in decode_gaps(observations, decoded(observations))] == [GapKind.LOST_EVENTS]


@pytest.mark.parametrize(("call", "kind"), [("io_uring_setup", GapKind.IO_URING), ("ptrace", GapKind.NESTED_PTRACE)])
def test_calls_that_hide_others_are_gaps_only_when_they_work(call, kind):
    worked = observe(counts={CountKey(1, NATIVE, nr(call), 0): 2, CountKey(1, NATIVE, nr(call), 1): 1})
    refused = observe(counts={CountKey(1, NATIVE, nr(call), 0): 2, CountKey(1, NATIVE, nr(call), 1): 2})
    assert [(gap.kind, gap.count) for gap in decode_gaps(worked, decoded(worked))] == [(kind, 1)]
    assert decode_gaps(refused, decoded(refused)) == ()


def test_a_script_is_the_file_that_was_named():
    event = executable(2, "/usr/bin/dash", string=b"./run", base2=names("/srv"), loader=names("/lib/ld.so"))
    program = decode_programs((event,))[2]
    assert (program.path, program.file, program.loader) == (b"/srv/run", b"/usr/bin/dash", b"/lib/ld.so")


def test_errno_names():
    assert [errno_name(number) for number in (2, 512, 516, 4000)] == [
        "ENOENT",
        "ERESTARTSYS",
        "ERESTART_RESTARTBLOCK",
        "E4000",
    ]


def test_what_was_seen_in_both_phases_is_one_thing_with_both():
    serving = 1 | SERVING
    observations = observe(
        counts={
            CountKey(1, NATIVE, nr("read"), 0): 2,
            CountKey(serving, NATIVE, nr("read"), 0): 3,
            CountKey(serving, NATIVE, nr("read"), errno.EAGAIN): 1,
            CountKey(serving, NATIVE, nr("uname"), 0): 1,
        },
        arguments={ArgumentKey(1, nr("prctl"), 15, 0, 0): 1, ArgumentKey(serving, nr("prctl"), 15, 0, 0): 1},
        capabilities={capability(0): 1, capability(0)._replace(executable=serving): 1},
    )
    programs = decoded(observations)
    calls = {call.name: (call.count, call.errors, call.phases) for call in decode_syscalls(observations, programs)}
    both = (Phase.INIT, Phase.SERVING)
    assert calls == {"read": (5, {"EAGAIN": 1}, both), "uname": (1, {}, (Phase.SERVING,))}
    assert [(one.count, one.phases) for one in decode_arguments(observations, programs)] == [(2, both)]
    assert [(one.count, one.phases) for one in decode_capabilities(observations, programs)] == [(2, both)]
    assert decode_gaps(observations, programs) == ()


def test_arguments_beyond_the_limit_in_one_phase_are_unknown_in_both():
    serving = 1 | SERVING
    observations = observe(
        counts={CountKey(1, NATIVE, nr("ioctl"), 0): 1, CountKey(serving, NATIVE, nr("ioctl"), 0): 90},
        arguments={ArgumentKey(1, nr("ioctl"), 1, 0, 0): 1, ArgumentKey(serving, nr("ioctl"), 2, 0, 0): 1},
        combinations={CombinationKey(1, nr("ioctl")): 1, CombinationKey(serving, nr("ioctl")): 65},
    )
    (seen,) = decode_arguments(observations, decoded(observations))
    assert (seen.values, seen.count, seen.phases) == (None, 91, (Phase.INIT, Phase.SERVING))


BY_DESCRIPTOR = [
    (b"/dev/fd/3", Mark.DESCRIPTOR, b"/srv/script", 0),
    (b"/dev/fd/3/bin/tool", Mark.DESCRIPTOR, b"/srv/script/bin/tool", 0),
    (b"/proc/self/fd/12", Mark.DESCRIPTOR, b"/srv/script", 0),
    (b"/dev/fd/3", Mark.DESCRIPTOR | Mark.INTERNAL, b"memfd:script", 1),
    (b"/dev/fd/3", 0, b"/dev/fd/3", 1),
]


@pytest.mark.parametrize(("name", "marks", "path", "count"), BY_DESCRIPTOR)
def test_a_script_by_a_descriptor_is_what_that_was_or_a_gap(name, marks, path, count):
    base = names("/srv/script") if marks else b""
    event = executable(2, "/bin/sh", string=name, base2=base)._replace(marks=marks)
    observations = observe(event)
    programs = decode_programs(observations.events)
    assert programs[2].path == path
    assert [(gap.kind, gap.count) for gap in decode_gaps(observations, programs)] == (
        [(GapKind.ANONYMOUS_PROGRAM, count)] if count else []
    )
