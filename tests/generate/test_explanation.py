"""What is behind a rule, from a recording or from the data that comes with harden."""

from __future__ import annotations

import pytest

from harden.errors import UsageError
from harden.generate.explanation import Explanation, explain
from harden.model.action import RingOperationSeen, SignalSeen, SignalTarget
from harden.model.control import Control, Requirement
from harden.model.diff import RightKind
from harden.model.local_merge import merge_local
from harden.model.origin import Origin
from harden.model.profile import Local, LocalRights
from harden.model.recording import Recording
from harden.model.seen import First
from tests import recordings
from tests.model.test_seen import with_firsts
from tests.model.test_stack import STACKS, with_stacks
from tests.recordings import PROGRAM

RUN = recordings.small_run()


def explained(rule: str) -> Explanation:
    local = Local(
        format="harden-local/1",
        add=LocalRights(syscalls=("ptrace",)),
        refined=LocalRights(syscalls=("getppid",), files={"/etc/app/app.conf": "write"}),
    )
    profile = merge_local(recordings.small_profile(), local)
    return explain(rule, profile, recordings.small_recording(), baseline=recordings.baseline())


def test_a_call_names_its_programs_and_counts():
    (granted,) = explained("openat").granted
    assert (granted.kind, granted.origin) == (RightKind.SYSCALL, Origin.OBSERVED)
    (behind,) = granted.behind
    assert (behind.executable, behind.call, behind.count, behind.run) == (PROGRAM, "openat", 12, RUN.id)


def test_a_call_names_the_signals_it_sent_and_what_it_submitted():
    run = recordings.run(
        syscalls=(recordings.syscall("kill"), recordings.syscall("io_uring_enter")),
        signals=(
            SignalSeen(executable=PROGRAM, signal="SIGTERM", target=SignalTarget.CHILD, syscall="kill", count=2),
            SignalSeen(executable=PROGRAM, signal="SIGUSR1", target=SignalTarget.SELF, syscall="tgkill", count=1),
        ),
        ring_operations=(
            RingOperationSeen(executable=PROGRAM, operation="OPENAT", syscall="io_uring_enter", count=3),
            RingOperationSeen(executable=PROGRAM, operation="STATX", count=1),
        ),
    )
    profile, recording = recordings.profile_of(run), Recording.of([run])
    found = [explain(rule, profile, recording, baseline=recordings.baseline()) for rule in ("kill", "io_uring_enter")]
    assert [[each.what for each in it.granted[0].behind] for it in found] == [
        ["SIGTERM to child", ""],
        ["io_uring OPENAT", ""],
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clone3", "clone3 is answered with ENOSYS"),
        ("openat2", "openat2 is answered with ENOSYS where"),
        ("mount", "mount is refused with EPERM while landlock is in force"),
        ("mq_open", "mq_open is refused with EACCES while landlock is in force"),
    ],
)
def test_a_call_that_is_refused_although_granted_says_so(name, words):
    run = recordings.run(syscalls=(recordings.syscall(name),))
    profile, recording = recordings.profile_of(run), Recording.of([run])
    why = explain(name, profile, recording, baseline=recordings.baseline()).granted[0].why
    assert why.startswith("a recorded run did it; ")
    assert words in why


def test_what_a_person_decided_is_not_said_to_be_refused():
    run = recordings.run(syscalls=(recordings.syscall("mount"), recordings.syscall("clone3")))
    local = Local(
        format="harden-local/1",
        add=LocalRights(syscalls=("clone3",)),
        controls={Control.LANDLOCK: Requirement.OFF},
    )
    profile = merge_local(recordings.profile_of(run), local)
    for name in ("mount", "clone3"):
        why = explain(name, profile, Recording.of([run]), baseline=recordings.baseline()).granted[0].why
        assert ";" not in why


def test_a_call_has_the_stack_of_its_first_time():
    """Of a call that two executables of one path made, the one that came first."""
    bare = recordings.small_run()
    recording = Recording.of([with_stacks(bare, 2, 1)])
    profile = recordings.small_profile()
    calls = [call.name for call in bare.syscalls[:3]]
    found = [explain(name, profile, recording, baseline=recordings.baseline()).granted[0] for name in calls]
    assert [each.behind[0].stack for each in found] == [STACKS.describe(2), STACKS.describe(1), ()]


def test_a_call_tells_when_it_was_first_made_and_by_which_process():
    """Of operations that are told as one, the earliest."""
    bare = recordings.small_run()
    recording = Recording.of([with_firsts(bare, First(9, 4), First(7, 2))])
    profile = recordings.small_profile()
    calls = [call.name for call in bare.syscalls[:3]]
    found = [explain(name, profile, recording, baseline=recordings.baseline()).granted[0].behind[0] for name in calls]
    assert [(each.first_us, each.process) for each in found] == [(9, 4), (7, 2), (None, None)]
    twice = recordings.run(
        syscalls=(
            recordings.syscall("openat", first_us=9, process=4),
            recordings.syscall("openat", count=2, first_us=3, process=5),
        )
    )
    (granted,) = explain("openat", profile, Recording.of([twice]), baseline=recordings.baseline()).granted
    assert [(each.count, each.first_us, each.process) for each in granted.behind] == [(3, 3, 5)]


@pytest.mark.parametrize("text", ["ioctl TCGETS", "ioctl(TCGETS)", " ioctl( TCGETS ) "])
def test_arguments_in_any_spelling(text):
    (granted,) = explained(text).granted
    assert (granted.kind, granted.rule, granted.behind[0].count) == (RightKind.ARGUMENT, "ioctl TCGETS", 1)


def test_a_call_alone_also_means_its_arguments():
    kinds = [(granted.kind, granted.rule) for granted in explained("socket").granted]
    assert kinds == [(RightKind.SYSCALL, "socket"), (RightKind.ARGUMENT, "socket AF_INET SOCK_STREAM 0")]


def test_a_capability_names_its_call():
    (granted,) = explained("CAP_NET_BIND_SERVICE").granted
    assert (granted.behind[0].call, granted.behind[0].what) == ("bind", "granted")


def test_a_path_has_every_origin_that_grants_on_it():
    granted = explained("/etc/app/app.conf").granted
    assert [(each.origin, each.rights) for each in granted] == [(Origin.OBSERVED, "read"), (Origin.REFINED, "write")]
    assert granted[0].behind[0].what == "read /etc/app/app.conf"


def test_a_path_is_explained_by_the_pattern_that_stands_for_it():
    (granted,) = explained("/proc/2/status").granted
    assert granted.rule == "/proc/@{pid}/status"
    assert granted.seen == ("/proc/2/status",)


def test_a_library_names_the_program_that_maps_it():
    granted = explained("/usr/lib/x86_64-linux-gnu/libc.so.6").granted
    assert any(behind.what.startswith("library") for each in granted for behind in each.behind)


def test_an_address():
    (granted,) = explained("bind tcp 0.0.0.0:80").granted
    assert granted.behind[0].executable == PROGRAM


def test_the_baseline_has_reasons():
    (granted,) = explained("restart_syscall").granted
    assert granted.origin is Origin.BASELINE
    assert "stop and continue" in granted.why
    assert granted.behind == ()


def test_what_follows_from_what_the_kernel_says_names_the_file():
    seen = recordings.run(files=recordings.file("/sys/kernel/mm/transparent_hugepage/enabled", "read"))
    for rule in ("prctl", "prctl PR_SET_THP_DISABLE"):
        profile = recordings.profile_of(seen)
        granted = explain(rule, profile, None, baseline=recordings.baseline()).granted[0]
        assert granted.origin is Origin.BASELINE
        assert granted.why.startswith("/sys/kernel/mm/transparent_hugepage/enabled was read: ")


def test_the_family_of_clone3():
    assert "clone3" in explained("clone").granted[0].why


@pytest.mark.parametrize(("rule", "words"), [("ptrace", "a person"), ("getppid", "refine")])
def test_who_added_it(rule, words):
    assert words in explained(rule).granted[0].why


@pytest.mark.parametrize(
    ("rule", "near"),
    [("opennat", "openat"), ("CAP_NET_BIND", "CAP_NET_BIND_SERVICE"), ("/etc/app/app.cnf", "app.conf")],
)
def test_an_unknown_rule_has_near_ones(rule, near):
    with pytest.raises(UsageError) as caught:
        explained(rule)
    assert near in (caught.value.hint or "")


def test_every_rule_of_a_profile_can_be_explained():
    profile, recording = recordings.small_profile(), recordings.small_recording()
    rights = profile.rights
    rules = {
        rule
        for table in (rights.syscalls, rights.capabilities, rights.network)
        for rules in table.values()
        for rule in rules
    }
    rules |= {path for table in rights.files.values() for path in table}
    rules |= {
        " ".join((name, *row)) for name, table in rights.arguments.items() for rows in table.values() for row in rows
    }
    assert len(rules) > 40
    for rule in rules:
        granted = explain(rule, profile, recording, baseline=recordings.baseline()).granted
        assert all(each.why for each in granted)
        observed = [each for each in granted if each.rule == rule and each.origin is Origin.OBSERVED]
        assert all(each.behind or each.rule == PROGRAM for each in observed), rule
