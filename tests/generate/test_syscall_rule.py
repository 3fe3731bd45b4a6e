"""System call and argument rules."""

from __future__ import annotations

import pytest

from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.syscall_argument import ARGUMENT_ROWS
from tests.recordings import arguments, baseline, families, file, profile_of, run, syscall


def test_baseline_is_labelled_and_never_repeats_what_was_seen():
    rights = profile_of(run(syscalls=(syscall("futex"), syscall("openat")))).rights
    assert rights.syscalls[Origin.OBSERVED] == ("futex", "openat")
    assert "futex" not in rights.syscalls[Origin.BASELINE]
    assert {"restart_syscall", "clock_gettime", "exit_group"} <= set(rights.syscalls[Origin.BASELINE])


def test_baseline_opens_nothing():
    """No call that reaches files, other processes' memory, the network or new programs."""
    granted = profile_of(run()).rights.all_syscalls()
    assert not granted & {
        "open",
        "openat",
        "execve",
        "execveat",
        "socket",
        "connect",
        "clone",
        "ptrace",
        "ioctl",
        "fcntl",
    }


HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


@pytest.mark.parametrize(
    ("read", "granted"),
    [
        (file(HUGE_PAGES, "read"), True),
        (file(HUGE_PAGES, "stat"), False),
        (file(HUGE_PAGES, "read", result="ENOENT"), False),
        (file("/sys/kernel/mm/transparent_hugepage/defrag", "read"), False),
    ],
)
def test_what_a_program_reads_of_the_kernel_brings_what_it_may_do_then(read, granted):
    rights = profile_of(run(files=read)).rights
    assert ("prctl" in rights.syscalls[Origin.BASELINE]) == granted
    assert rights.arguments.get("prctl") == ({Origin.BASELINE: (("PR_SET_THP_DISABLE",),)} if granted else None)


def test_a_program_that_looks_for_name_servers_may_wait_for_one():
    """Where it was recorded none could be reached, or one answered at once."""
    rights = profile_of(run(files=file("/etc/resolv.conf", "read"))).rights
    assert {"poll", "recvfrom", "sendmmsg", "sendto", "ioctl"} <= set(rights.syscalls[Origin.BASELINE])
    assert rights.arguments["ioctl"] == {Origin.BASELINE: (("FIONREAD",),)}
    assert not profile_of(run()).rights.all_syscalls() & {"poll", "recvfrom", "ioctl"}


def test_what_the_kernel_answers_widens_no_rule_that_takes_any_arguments():
    assert "prctl" not in profile_of(run(files=file(HUGE_PAGES, "read"), syscalls=(syscall("prctl"),))).rights.arguments


def test_calls_of_other_architectures_are_left_out():
    assert "sigreturn" not in profile_of(run(syscalls=(syscall("openat"),))).rights.all_syscalls()
    rights = profile_of(run(syscalls=(syscall("openat", arch=Arch.I386),))).rights
    assert "sigreturn" in rights.all_syscalls()


def test_second_abi_is_included_and_noted():
    profile = profile_of(run(syscalls=(syscall("openat"), syscall("getpid", arch=Arch.I386))))
    assert profile.rights.architectures == (Arch.I386, Arch.X86_64)
    assert any("i386 ABI" in note and "getpid" in note for note in profile.generated.notes)


def test_exec_is_granted_only_if_the_program_did_it():
    assert "execve" not in profile_of(run()).rights.all_syscalls()


def test_clone3_brings_clone_without_namespaces():
    rights = profile_of(run(syscalls=(syscall("clone3"),))).rights
    assert rights.syscalls[Origin.FAMILY] == ("clone",)
    assert rights.argument_values("clone") == ((0,),)


def test_clone3_beside_clone_with_namespaces():
    new_user = 0x10000000
    seen = run(syscalls=(syscall("clone3"), syscall("clone")), arguments=(arguments("clone", (new_user,)),))
    rights = profile_of(seen).rights
    assert rights.argument_values("clone") == ((0,), (new_user,))
    assert rights.arguments["clone"][Origin.OBSERVED] == (("CLONE_NEWUSER",),)


def test_families_on_request_only():
    seen = run(syscalls=(syscall("openat"),))
    assert "openat2" not in profile_of(seen).rights.all_syscalls()
    rights = profile_of(seen, families=families()).rights
    assert {"openat2", "open", "creat"} <= set(rights.syscalls[Origin.FAMILY])
    assert "mkdir" not in rights.all_syscalls()


def test_combinations_are_listed():
    seen = run(
        syscalls=(syscall("socket"),), arguments=(arguments("socket", (1, 1, 0)), arguments("socket", (2, 2, 17)))
    )
    rights = profile_of(seen).rights
    assert rights.arguments["socket"] == {
        Origin.OBSERVED: (("AF_INET", "SOCK_DGRAM", "17"), ("AF_UNIX", "SOCK_STREAM", "0"))
    }


@pytest.mark.parametrize(
    "seen",
    [
        (arguments("socket", (1, 1, 0)), arguments("socket", None)),
        (),
        tuple(arguments("socket", (1, 1, protocol)) for protocol in range(17)),
    ],
    ids=["too many for the recorder", "not recorded", "too many for a rule"],
)
def test_any_arguments_are_noted(seen):
    profile = profile_of(run(syscalls=(syscall("socket"),), arguments=seen))
    assert "socket" not in profile.rights.arguments
    assert any(note.startswith("socket is granted with any arguments") for note in profile.generated.notes)


def test_one_run_without_arguments_spoils_the_rule():
    with_values = run(syscalls=(syscall("ioctl"),), arguments=(arguments("ioctl", (0x5401,)),))
    without = run(syscalls=(syscall("ioctl", count=2),))
    assert "ioctl" in profile_of(with_values).rights.arguments
    assert "ioctl" not in profile_of(with_values, without).rights.arguments


def test_single_values_are_listed_up_to_64():
    for count, ruled in ((64, True), (65, False)):
        seen = tuple(arguments("ioctl", (0x5400 + n,)) for n in range(count))
        profile = profile_of(run(syscalls=(syscall("ioctl"),), arguments=seen))
        assert ("ioctl" in profile.rights.arguments) == ruled


def test_memory_is_writable_and_executable_only_as_seen():
    rights = profile_of(run()).rights
    assert rights.argument_values("mmap") == rights.argument_values("mprotect") == ((0,), (2,))
    seen = run(syscalls=(syscall("mmap"),), arguments=(arguments("mmap", (4,)),))
    assert profile_of(seen).rights.argument_values("mmap") == ((0,), (2,), (4,))
    assert profile_of(seen).rights.argument_values("mprotect") == ((0,), (2,))
    seen = run(syscalls=(syscall("mprotect"),), arguments=(arguments("mprotect", (6,)),))
    assert profile_of(seen).rights.argument_values("mprotect") == ((0,), (2,), (6,))


def test_every_ruled_call_has_a_rule_or_a_note():
    calls = [syscall(name) for name in ARGUMENT_ROWS]
    profile = profile_of(run(syscalls=tuple(calls)), families=families())
    noted = {note.split()[0] for note in profile.generated.notes}
    assert set(ARGUMENT_ROWS) <= set(profile.rights.arguments) | noted


def test_every_entry_of_the_baseline_has_a_reason():
    data = baseline()
    assert all(entry.reason for entry in (*data.syscalls, *data.arguments, *data.files))
    names = [name for entry in data.syscalls for name in entry.names]
    assert len(names) == len(set(names))
