"""What was refused in a rerun, told from what was seen in it: by which control, and the rule that would allow it."""

from __future__ import annotations

from typing import Any

import pytest

from harden.generate.apparmor_log import AppArmorLog
from harden.generate.denial import denials_of
from harden.generate.denied_file import hidden_candidates
from harden.generate.history import History
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.control import Control
from harden.model.denial import Denial, Refusal
from harden.model.local_merge import merge_local
from harden.model.profile import Local, LocalRemoval, LocalRights, Profile
from harden.model.recording import CapabilityNamespace, Recording, Run
from harden.model.syscall import number_of
from tests import recordings
from tests.recordings import PROGRAM, arguments, capability, file, run, socket, syscall

RECORDED = recordings.small_run()
EVERYTHING = frozenset({Control.SECCOMP, Control.LANDLOCK, Control.FILESYSTEM_VIEW, Control.CAPABILITIES})


def refusal(name: str, result: str = "EPERM", **more: Any) -> Refusal:
    arch = more.pop("arch", Arch.X86_64)
    number = number_of(arch, name)
    assert number is not None
    return Refusal(
        executable=PROGRAM, arch=arch, nr=number, name=name, values=more.pop("values", None), result=result, count=1
    )


def denials(
    seen: Run,
    *refusals: Refusal,
    profile: Profile | None = None,
    recorded: Run | None = RECORDED,
    on_host: tuple[str, ...] = (),
    in_force: frozenset[Control] = EVERYTHING,
    linked: tuple[str, ...] = (),
) -> tuple[Denial, ...]:
    history = History(Recording.of([recorded]) if recorded else None)
    return denials_of(
        seen,
        refusals,
        profile=profile or recordings.profile_of(RECORDED),
        history=history,
        on_host=hidden_candidates(seen, history) & frozenset(on_host),
        in_force=in_force,
        linked=frozenset(linked),
        log=AppArmorLog(),
    )


def only(found: tuple[Denial, ...]) -> Denial:
    assert len(found) == 1, found
    return found[0]


def test_the_recorded_run_itself_has_no_denial():
    assert denials(RECORDED) == ()


# seccomp


def test_a_call_that_is_not_granted():
    found = only(denials(run(syscalls=(syscall("ptrace", errors={"EPERM": 1}),)), refusal("ptrace")))
    assert (found.control, found.call, found.result, found.recorded) == (Control.SECCOMP, "ptrace", "EPERM", False)
    assert found.add == LocalRights(syscalls=("ptrace",))


def test_a_call_with_other_arguments_than_granted():
    found = only(denials(run(), refusal("socket", values=(16, 3, 0))))
    assert found.arguments == ("AF_NETLINK", "SOCK_RAW", "0")
    assert found.add == LocalRights(arguments={"socket": (("AF_NETLINK", "SOCK_RAW", "0"),)})


def test_a_new_ruled_call_is_added_with_its_arguments_only():
    found = only(denials(run(), refusal("prctl", values=(15,))))
    assert found.add == LocalRights(syscalls=("prctl",), arguments={"prctl": (("PR_SET_NAME",),)})


def test_a_removed_call_was_recorded():
    local = Local(format="harden-local/1", remove=LocalRemoval(syscalls=("openat",)))
    found = only(denials(run(), refusal("openat"), profile=merge_local(recordings.small_profile(), local)))
    assert found.recorded is True


def test_clone3_is_answered_so_by_design():
    assert denials(run(), refusal("clone3", "ENOSYS")) == ()


def test_clone3_of_a_program_that_started_nothing_needs_clone():
    recorded = run(syscalls=(syscall("read"),))
    profile = recordings.profile_of(recorded)
    found = only(denials(run(), refusal("clone3", "ENOSYS"), profile=profile, recorded=recorded))
    assert found.add == LocalRights(syscalls=("clone",), arguments={"clone": (("0",),)})


def test_a_killed_foreign_abi_has_no_rule():
    found = only(denials(run(), refusal("getpid", "SIGSYS", arch=Arch.I386)))
    assert (found.arch, found.result, found.add) == (Arch.I386, "SIGSYS", LocalRights())
    assert "ABI" in found.advice


def test_what_another_filter_refused_in_the_recording_too_is_no_denial():
    recorded = run(syscalls=(syscall("openat", count=2, errors={"EPERM": 1}),))
    assert denials(run(), refusal("openat"), profile=recordings.profile_of(recorded), recorded=recorded) == ()


def test_the_path_of_a_refused_call_is_named_and_not_listed_again():
    seen = run(files=(file("/srv/app/x", "unlink", result="EPERM", call="unlink"),))
    assert only(denials(seen, refusal("unlink"))).paths == ("/srv/app/x",)


# files


def test_landlock_refuses_what_is_shown_but_not_granted():
    found = only(denials(run(files=(file("/usr/share/x", "read", result="EACCES"),))))
    assert (found.control, found.paths) == (Control.LANDLOCK, ("/usr/share/x",))
    assert found.add == LocalRights(files={"/usr/share/x": "read"})


def test_operations_of_one_call_make_one_denial():
    found = only(denials(run(files=(file("/srv/app/new", "write", "create", result="EACCES"),))))
    assert found.add == LocalRights(files={"/srv/app/new": "write create"})


def test_to_execute_a_file_it_must_be_read_and_mapped_too():
    found = only(denials(run(files=(file("/usr/bin/id", "exec", result="EACCES", call="execve"),))))
    assert found.add == LocalRights(files={"/usr/bin/id": "read exec map"})


def test_the_view_hides_what_the_host_has():
    seen = run(files=(file("/etc/passwd", "read", result="ENOENT"),))
    found = only(denials(seen, on_host=("/etc/passwd",)))
    assert (found.control, found.add) == (Control.FILESYSTEM_VIEW, LocalRights(files={"/etc/passwd": "read"}))


@pytest.mark.parametrize(
    ("files", "on_host"),
    [
        pytest.param((file("/etc/passwd", "read", result="ENOENT"),), (), id="the-host-lacks-it-too"),
        pytest.param((file("/etc/app/local.conf", "read", result="ENOENT"),), ("/etc/app/local.conf",), id="recorded"),
        pytest.param((file("/etc/app/app.conf", "stat", result="ENOENT"),), ("/etc/app/app.conf",), id="granted"),
        pytest.param(
            (file("/srv/app/n", "stat", result="ENOENT"), file("/srv/app/n", "create")),
            ("/srv/app/n",),
            id="made-later",
        ),
        pytest.param((file("/usr/lib/x.so", "read", result="ENOENT"),), ("/usr/lib/x.so",), id="always-shown"),
        pytest.param((file("/proc/812/stat", "read", result="ENOENT"),), ("/proc/812/stat",), id="other-processes"),
    ],
)
def test_what_is_not_there_is_no_denial(files, on_host):
    assert denials(run(files=files), on_host=on_host) == ()


@pytest.mark.parametrize("path", ["/tmp/host", "/run/host.sock", "/dev/sda"])
def test_no_rule_shows_what_is_private(path):
    found = only(denials(run(files=(file(path, "read", result="ENOENT"),)), on_host=(path,)))
    assert found.add == LocalRights()
    assert found.advice


def test_the_working_folder_is_shown_even_below_tmp():
    recorded = run(workload={"cwd": "/tmp/here"})
    seen = run(workload={"cwd": "/tmp/here"}, files=(file("/tmp/here/x", "read", result="ENOENT"),))
    profile = recordings.profile_of(recorded)
    found = only(denials(seen, profile=profile, recorded=recorded, on_host=("/tmp/here/x",)))
    assert found.add == LocalRights(files={"/tmp/here/x": "read"})


def test_read_only_is_the_view():
    found = only(denials(run(files=(file("/etc/app/app.conf", "chmod", result="EROFS", call="chmod"),))))
    assert (found.control, found.add) == (Control.FILESYSTEM_VIEW, LocalRights(files={"/etc/app/app.conf": "chmod"}))


def test_a_rename_across_folders_is_landlock():
    seen = run(files=(file("/srv/app/a", "refer", result="EXDEV", call="rename"),))
    found = only(denials(seen))
    assert (found.control, found.add) == (Control.LANDLOCK, LocalRights(files={"/srv/app/a": "refer"}))


def test_what_failed_so_when_recorded_is_no_denial():
    recorded = run(files=(file("/usr/share/x", "read", result="EACCES"),))
    assert denials(run(files=(file("/usr/share/x", "read", result="EACCES"),)), recorded=recorded) == ()


def test_what_never_worked_loses_nothing_by_another_errno():
    recorded = run(files=(file("/dev/ptmx", "ioctl", result="ENOTTY", call="ioctl"),))
    seen = run(files=(file("/dev/ptmx", "ioctl", result="EACCES", call="ioctl"),))
    assert denials(seen, recorded=recorded) == ()


@pytest.mark.parametrize(("path", "number"), [("/dev/null", 0), ("/dev/urandom", 0), ("/dev/tty", 1)])
def test_asking_what_is_no_terminal_loses_nothing(path, number):
    seen = run(files=(file(path, "ioctl", result="EACCES", call="ioctl"),))
    assert len(denials(seen, recorded=None)) == number


def test_what_worked_when_recorded_is_a_denial_even_if_nothing_explains_it():
    seen = run(files=(file("/srv/app/data", "write", result="EACCES"),))
    found = only(denials(seen, in_force=frozenset()))
    assert (found.control, found.recorded) == (None, True)


def test_without_a_recording_nothing_is_known_of_it():
    found = only(denials(run(files=(file("/usr/share/x", "read", result="EACCES"),)), recorded=None))
    assert found.recorded is None


# capabilities


def chown_refused(**more: Any) -> Run:
    return run(
        syscalls=(syscall("chown", errors={"EPERM": 1}),),
        capabilities=(capability("CAP_CHOWN", granted=False, call="chown", **more),),
        files=(file("/srv/app/data", "chown", result="EPERM", call="chown"),),
    )


def test_a_capability_that_its_call_failed_for():
    found = only(denials(chown_refused()))
    assert (found.control, found.capability, found.result) == (Control.CAPABILITIES, "CAP_CHOWN", "EPERM")
    assert found.paths == ("/srv/app/data",)
    assert found.add == LocalRights(capabilities=("CAP_CHOWN",))
    assert Capability.CAP_CHOWN not in recordings.small_profile().rights.all_capabilities()


def test_a_check_whose_call_worked_is_no_denial():
    seen = run(syscalls=(syscall("setsockopt"),), capabilities=(capability("CAP_NET_ADMIN", granted=False),))
    assert denials(seen) == ()


def test_a_check_that_only_looks_is_no_denial():
    assert not [each for each in denials(chown_refused(probing=True)) if each.control is Control.CAPABILITIES]


def test_a_check_in_a_namespace_of_its_own_is_no_denial():
    nested = chown_refused(namespace=CapabilityNamespace.NESTED)
    assert not [each for each in denials(nested) if each.control is Control.CAPABILITIES]


def test_a_check_that_failed_when_recorded_is_no_denial():
    assert denials(chown_refused(), recorded=chown_refused()) == ()


def test_reading_asks_for_two_and_needs_the_lesser():
    seen = run(
        syscalls=(syscall("openat", errors={"EACCES": 1}),),
        capabilities=(
            capability("CAP_DAC_OVERRIDE", granted=False),
            capability("CAP_DAC_READ_SEARCH", granted=False),
        ),
    )
    assert only(denials(seen)).capability == "CAP_DAC_READ_SEARCH"


def test_outside_the_sandbox_no_rule_helps():
    found = only(denials(chown_refused(namespace=CapabilityNamespace.HOST)))
    assert found.add == LocalRights()
    assert "--userns" in found.advice


# addresses


def test_an_address_that_is_not_granted():
    seen = run(sockets=(socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=5432, result="EACCES"),))
    found = only(denials(seen))
    assert (found.control, found.call, found.network) == (Control.LANDLOCK, "connect", "connect tcp 127.0.0.1:5432")
    assert found.add == LocalRights(network=("connect tcp 127.0.0.1:5432",))


def test_nobody_answering_is_no_denial():
    seen = run(
        sockets=(socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=1, result="ECONNREFUSED"),)
    )
    assert denials(seen) == ()


def test_a_network_that_is_gone():
    where = {"address": "192.0.2.1", "port": 80}
    recorded = run(sockets=(socket("connect", "AF_INET", "SOCK_STREAM", result="ok", **where),))
    seen = run(sockets=(socket("connect", "AF_INET", "SOCK_STREAM", result="ENETUNREACH", **where),))
    found = only(denials(seen, recorded=recorded))
    assert (found.control, found.recorded) == (Control.NETWORK_NAMESPACE, True)
    assert denials(seen) == ()


# laws


def test_every_rule_does_away_with_its_denial():
    """What is proposed for a denial makes the same observation no denial."""
    seen = run(files=(file("/usr/share/x", "read", "stat", result="EACCES"),))
    found = denials(seen, refusal("ptrace"), refusal("socket", values=(16, 3, 0)), refusal("prctl", values=(15,)))
    assert len(found) == 4
    profile = recordings.small_profile()
    for denial in found:
        profile = merge_local(profile, Local(format="harden-local/1", refined=denial.add))
    assert denials(seen, profile=profile) == ()


def test_recorded_arguments_are_told_apart():
    recorded = run(syscalls=(syscall("socket"),), arguments=(arguments("socket", (16, 3, 0)),))
    assert only(denials(run(), refusal("socket", values=(16, 3, 0)), recorded=recorded)).recorded is True
    assert only(denials(run(), refusal("socket", values=(16, 2, 0)), recorded=recorded)).recorded is False
