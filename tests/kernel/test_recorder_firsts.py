"""When each thing was first seen and by which process, beside what the processes say themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from harden.launch.spawn import start
from harden.model.recording import Recording, Run
from harden.profile_source import generate_from
from harden.trace import NotifyRecorder, Recorder
from tests.kernel.recorded import BACKENDS, cgroup, gated, record, record_by_notify, run_of
from tests.sandboxes import plan_of, spec_of

pytestmark = pytest.mark.requires("root", "gcc")

_STAMP = re.compile(r"/succession/([123])/(begins|ends)/(\d+)/(\d+)")


class Own(NamedTuple):
    """What a process of the victim says of itself: its number, and its clock before and behind what it did."""

    process: int
    begins_ns: int
    ends_ns: int


def own_words(run: Run) -> dict[int, Own]:
    """By the number of the step."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for seen in run.files:
        if match := _STAMP.fullmatch(seen.path):
            found[int(match[1]), match[2]] = int(match[3]), int(match[4])
    return {step: Own(*found[step, "begins"], found[step, "ends"][1]) for step in (1, 2, 3)}


def calls(run: Run, name: str) -> list[Any]:
    return [seen for seen in run.syscalls if seen.name == name]


def paths(run: Run, path: str) -> list[Any]:
    return [seen for seen in run.files if seen.path == path]


def of(things: Iterable[Any], **fields: object) -> list[Any]:
    """Those with these values."""
    return [seen for seen in things if all(getattr(seen, name) == value for name, value in fields.items())]


KINDS: dict[str, Callable[[Run], tuple[list[Any], list[Any]]]] = {
    "call": lambda run: (calls(run, "getpriority"), calls(run, "getpgid")),
    "path": lambda run: (paths(run, "/succession/one"), paths(run, "/succession/two")),
    "argument": lambda run: (of(run.arguments, values=(0x1111,)), of(run.arguments, values=(0x2222,))),
    "socket": lambda run: (of(run.sockets, family="AF_INET"), of(run.sockets, family="AF_INET6")),
    "mount": lambda run: (of(run.mounts, filesystem="tmpfs"), of(run.mounts, filesystem="proc")),
    "execute": lambda run: (
        of(paths(run, "/usr/bin/true"), operation="exec"),
        of(paths(run, "/usr/bin/false"), operation="exec"),
    ),
}
SEEN_BY_BPF: dict[str, Callable[[Run], tuple[list[Any], list[Any]]]] = {
    "signal": lambda run: (of(run.signals, signal="SIGUSR1"), of(run.signals, signal="SIGUSR2")),
    "capability": lambda run: (of(run.capabilities, syscall="sethostname"), of(run.capabilities, syscall="setgroups")),
}


def demand_order(run: Run, found: tuple[list[Any], list[Any]]) -> None:
    """Each thing is of the process that did it first, and of the time between its two stamps."""
    one, other = found
    first, second, _again = own_words(run)[1], own_words(run)[2], own_words(run)[3]
    assert one, other
    for seen, own in ((seen, own) for things, own in ((one, first), (other, second)) for seen in things):
        assert seen.process == own.process
        assert seen.first_us is not None
    for seen in one:
        assert seen.count == 2 * min(each.count for each in other)
        for later in other:
            apart_ns = (later.first_us - seen.first_us) * 1000
            # A microsecond for what is cut off of each.
            assert second.begins_ns - first.ends_ns - 1000 <= apart_ns <= second.ends_ns - first.begins_ns + 1000


@pytest.mark.sees("when, and by which process, something was first done")
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_process_and_its_time_are_what_it_says_itself(recorded_by_all, victim, kind):
    run = recorded_by_all(victim("succession"), kind)
    demand_order(run, KINDS[kind](run))


@pytest.mark.requires("bpf", "cgroup2")
@pytest.mark.every_kernel
@pytest.mark.parametrize("kind", [*KINDS, *SEEN_BY_BPF])
def test_bpf_knows_them_of_everything_that_it_sees(victim, kind):
    run = record(victim("succession"), kind)
    demand_order(run, (KINDS | SEEN_BY_BPF)[kind](run))
    assert unknown(run) == []


@pytest.mark.requires("bpf", "cgroup2")
def test_times_count_from_the_gates_opening(victim):
    with (
        cgroup() as folder,
        gated(folder, victim("succession"), "call") as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        before_ns = time.monotonic_ns()
        recorder.begin()
        after_ns = time.monotonic_ns()
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    demand_start(run, before_ns, after_ns)


@pytest.mark.requires("seccomp-notify", "overlay", "idmap")
def test_times_count_from_the_gates_opening_by_notification(victim):
    with NotifyRecorder() as recorder:
        spec = spec_of(victim("succession"), "call", listener_cookie=recorder.cookie)
        with start(plan_of(spec), gate=True, calls_fd=recorder.fd) as sandbox:
            sandbox.ready()
            before_ns = time.monotonic_ns()
            recorder.begin()
            after_ns = time.monotonic_ns()
            sandbox.open_gate()
            sandbox.wait(60)
        run = run_of(recorder.stop())
    demand_start(run, before_ns, after_ns)


def demand_start(run: Run, before_ns: int, after_ns: int) -> None:
    (seen,) = calls(run, "getpriority")
    own = own_words(run)[1]
    assert own.begins_ns - after_ns - 1000 <= seen.first_us * 1000 <= own.ends_ns - before_ns
    executed = [each.first_us for each in of(run.files, operation="exec")]
    assert min(executed) == min(each.first_us for each in everything(run))


@pytest.mark.requires("bpf", "cgroup2")
def test_who_is_not_told_when_the_gate_opens_knows_no_times():
    with (
        cgroup() as folder,
        gated(folder, "/usr/bin/true") as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        run = run_of(recorder.stop())
    assert {(seen.first_us, seen.process) for seen in everything(run)} == {(None, None)}


def everything(run: Run) -> list[Any]:
    kinds = ("syscalls", "arguments", "capabilities", "files", "sockets", "signals", "ring_operations", "mounts")
    return [seen for kind in kinds for seen in getattr(run, kind)]


def unknown(run: Run) -> list[Any]:
    """What was seen, but not when or by whom."""
    return [seen for seen in everything(run) if None in (seen.first_us, seen.process)]


@pytest.mark.requires("bpf", "cgroup2")
def test_a_call_that_is_waited_in_began_when_it_was_made(victim, tmp_path):
    """It counts for the phase serving, which a thread has reached when it is left."""
    for name in ("early", "late", "both", "client", "child"):
        (tmp_path / name).touch()
    run = record(victim("phases"), tmp_path)
    assert unknown(run) == []
    (accepted,) = [seen for seen in run.syscalls if seen.name in ("accept", "accept4")]
    (connected,) = calls(run, "connect")
    (late,) = [seen for seen in paths(run, str(tmp_path / "late")) if seen.operation == "read"]
    assert accepted.phases == late.phases != connected.phases
    assert accepted.first_us < connected.first_us < late.first_us


@pytest.mark.requires("bpf", "cgroup2")
def test_what_a_ring_is_given_has_a_time_too(victim, tmp_path):
    (tmp_path / "file").touch()
    run = record(victim("uring"), tmp_path / "file")
    assert run.ring_operations
    assert unknown(run) == []


def test_a_thread_is_of_its_process(recorded_by_all):
    code = "import threading; t = threading.Thread(target=open, args=['/etc/hostname']); t.start(); t.join()"
    run = recorded_by_all("/usr/bin/python3", "-c", code)
    (seen,) = [seen for seen in paths(run, "/etc/hostname") if seen.operation == "read"]
    assert {each.process for each in run.syscalls} == {seen.process}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_process_in_a_pid_namespace_of_the_programs_has_its_number_outside_of_that(backend):
    """The program's own is 2 by notification, in a sandbox; by BPF it is one of this machine's."""
    command = ("/usr/bin/unshare", "--pid", "--fork", "/usr/bin/cat", "/etc/hostname")
    run = record(*command) if backend == "bpf" else record_by_notify(*command)
    (own,) = calls(run, "unshare")
    (seen,) = [seen for seen in paths(run, "/etc/hostname") if seen.operation == "read"]
    assert own.process == 2 if backend == "notify" else own.process > 2
    assert seen.process == 3 if backend == "notify" else seen.process > own.process
    assert seen.first_us > own.first_us


def test_a_program_that_is_recorded_again_has_the_same_profile(recorded_by_all, victim):
    runs = [recorded_by_all(victim("succession", static=True), "argument") for _ in range(2)]
    own = [own_words(run) for run in runs]
    assert own[0] != own[1]
    # Its stamps are names of their own in each run.
    bare = [without_stamps(run) for run in runs]
    one, other = (generate_from(Recording.of([run]), name="x") for run in bare)
    assert one == other
    assert generate_from(Recording.of([bare[0].without_evidence()]), name="x") == one


def without_stamps(run: Run) -> Run:
    files = tuple(seen for seen in run.files if not Path(seen.path).is_relative_to("/succession"))
    return msgspec.structs.replace(run, files=files, peaks={})
