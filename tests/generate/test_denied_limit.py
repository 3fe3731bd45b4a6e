"""What limits of resources refused in a rerun, and the limit that would do."""

from __future__ import annotations

from harden.generate.apparmor_log import AppArmorLog
from harden.generate.denial import denials_of
from harden.generate.denied_limit import Held
from harden.generate.history import History
from harden.model.control import Control
from harden.model.denial import Denial
from harden.model.outcome import Usage
from harden.model.profile import LocalRights
from harden.model.recording import Run
from harden.model.resource_limit import LimitName
from tests import recordings
from tests.recordings import PROGRAM, run, syscall

LIMITED = recordings.profile_of(run(peaks={"pids": 3.0, "open_files": 9.0, "memory_cgroup_bytes": 1.0}))
HOLDING = frozenset({Control.MEMORY, Control.PIDS, Control.RLIMITS})


def held(*, in_force: frozenset[Control] = HOLDING, given: frozenset[LimitName] = frozenset(), **usage: int) -> Held:
    return Held(in_force=in_force, given=given, usage=Usage(**usage))


def denials(seen: Run, held: Held) -> tuple[Denial, ...]:
    return denials_of(
        seen,
        (),
        profile=LIMITED,
        history=History(None),
        on_host=frozenset(),
        in_force=held.in_force,
        held=held,
        log=AppArmorLog(),
    )


def only(found: tuple[Denial, ...]) -> Denial:
    assert len(found) == 1, found
    return found[0]


def test_processes_that_the_cgroup_counts_as_refused():
    seen = run(syscalls=(syscall("clone", count=30, errors={"EAGAIN": 4}), syscall("futex", errors={"EAGAIN": 2})))
    found = only(denials(seen, held(forks_refused=4)))
    assert (found.control, found.call, found.result, found.count) == (Control.PIDS, "clone", "EAGAIN", 4)
    assert found.add == LocalRights(limits={LimitName.PIDS: 128})
    assert denials(seen, held(forks_refused=0)) == ()
    assert denials(seen, held(forks_refused=4, in_force=frozenset())) == ()


def test_processes_that_were_refused_in_no_call_that_was_seen():
    found = only(denials(run(), held(forks_refused=2)))
    assert (found.executable, found.call, found.result, found.count) == (PROGRAM, "", "EAGAIN", 2)


def test_what_was_killed_for_want_of_memory():
    found = only(denials(run(), held(oom_kills=1)))
    assert (found.control, found.result, found.count) == (Control.MEMORY, "SIGKILL", 1)
    assert found.add == LocalRights(limits={LimitName.MEMORY: "128M"})
    assert only(denials(run(), held(oom_kills=1, oom_events=1))) == found
    assert denials(run(), held(oom_kills=1, oom_events=0)) == ()


def test_descriptors_beyond_the_limit():
    calls = (syscall("openat", count=90, errors={"EMFILE": 3}), syscall("inotify_init1", errors={"EMFILE": 1}))
    found = only(denials(run(syscalls=calls, peaks={"open_files": 1024.0}), held()))
    assert (found.control, found.call, found.result, found.count) == (Control.RLIMITS, "openat", "EMFILE", 3)
    assert found.add == LocalRights(limits={LimitName.NOFILE: 2048})
    assert denials(run(syscalls=calls, peaks={"open_files": 64.0}), held()) == ()


def test_a_limit_that_was_given_is_no_right():
    found = only(denials(run(), held(oom_kills=1, given=frozenset({LimitName.MEMORY}))))
    assert (found.control, found.add) == (Control.MEMORY, LocalRights())
    assert "trace it again" in found.advice
