"""The recorder of user notifications: what only it can lose, and that nothing goes on when it is gone."""

from __future__ import annotations

import os
import select
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harden.errors import HardenError
from harden.launch.spawn import Sandbox, start
from harden.model.arch import Arch
from harden.model.recording import Completeness, GapKind, Unseen
from harden.model.sandbox import Bind
from harden.trace import NotifyRecorder
from harden.trace.notify_table import TABLE_SIZE, encode_table, read_table
from tests.kernel.recorded import operations, record_by_notify
from tests.sandboxes import plan_of, spec_of

pytestmark = pytest.mark.requires("root", "gcc", "x86_64", "seccomp-notify", "overlay", "idmap")

DEADLINE_S = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Looks again and again: what is waited for happens in a process that can tell nobody."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)


@contextmanager
def tallying(victim, folder: Path) -> Iterator[tuple[Sandbox, Callable[[], tuple[int, ...]]]]:
    """A recorded program that makes calls for ever, and its own counts of what came of them."""
    file = folder / "counts"
    file.write_bytes(bytes(4096))
    file.chmod(0o666)
    program = victim("tally", static=True)
    null = os.open("/dev/null", os.O_RDWR)
    with NotifyRecorder() as recorder:
        spec = spec_of(
            program,
            file,
            cwd=bytes(folder),
            binds=(Bind(source=bytes(folder), target=bytes(folder), writable=True),),
            listener_cookie=recorder.cookie,
        )
        with start(plan_of(spec), gate=False, stdin=null, stdout=null, calls_fd=recorder.fd) as sandbox:
            os.close(null)
            yield sandbox, lambda: struct.unpack("=3Q", file.read_bytes()[:24])


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def hold(recorder: int, payload: int) -> None:
    """Stop the recorder, and wait until the program waits for it: it never sleeps otherwise."""
    os.kill(recorder, signal.SIGSTOP)
    wait_until(lambda: (state(recorder), state(payload)) == ("T", "S"))


def recorder_of(supervisor: int, init: int) -> int:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    (recorder,) = {int(child) for child in children} - {init}
    return recorder


def test_without_its_recorder_every_call_fails_and_the_program_is_killed(victim, tmp_path):
    with tallying(victim, tmp_path) as (sandbox, counts):
        init = sandbox.ready().init_pid
        wait_until(lambda: counts()[0] > 100)
        # The supervisor would kill the sandbox at once: held, it lets the program's own account be read.
        os.kill(sandbox.pid, signal.SIGSTOP)
        os.kill(recorder_of(sandbox.pid, init), signal.SIGKILL)
        wait_until(lambda: counts()[1] > 100)
        before = counts()
        wait_until(lambda: counts()[1] > before[1] + 1000)
        assert (counts()[0], counts()[2]) == (before[0], 0)
        os.kill(sandbox.pid, signal.SIGCONT)
        with pytest.raises(HardenError, match="the recorder died"):
            sandbox.wait(DEADLINE_S)


def test_without_its_supervisor_no_call_is_made(victim, tmp_path):
    with tallying(victim, tmp_path) as (sandbox, counts):
        ready = sandbox.ready()
        wait_until(lambda: counts()[0] > 100)
        recorder = recorder_of(sandbox.pid, ready.init_pid)
        payload = os.pidfd_open(ready.payload_pid)
        hold(recorder, ready.payload_pid)
        before = counts()
        os.kill(sandbox.pid, signal.SIGKILL)
        assert select.select([payload], [], [], DEADLINE_S)[0]
        os.close(payload)
        assert counts()[0] == before[0]


def test_a_recorder_that_stands_still_only_holds_the_program_up(victim, tmp_path):
    with tallying(victim, tmp_path) as (sandbox, counts):
        ready = sandbox.ready()
        wait_until(lambda: counts()[0] > 100)
        recorder = recorder_of(sandbox.pid, ready.init_pid)
        hold(recorder, ready.payload_pid)
        before = counts()
        os.kill(recorder, signal.SIGCONT)
        wait_until(lambda: counts()[0] > before[0] + 100)
        assert counts()[1:] == (0, 0)


def test_the_program_and_its_recorder_are_in_one_session_that_is_not_the_callers(victim, tmp_path):
    with tallying(victim, tmp_path) as (sandbox, counts):
        ready = sandbox.ready()
        wait_until(lambda: counts()[0] > 100)
        recorder = recorder_of(sandbox.pid, ready.init_pid)
        sessions = [os.getsid(pid) for pid in (sandbox.pid, recorder, ready.payload_pid)]
        assert sessions == [sandbox.pid] * 3
        assert os.getpgid(ready.payload_pid) == ready.payload_pid
        # Else the payload's group could be stopped by SIGTSTP: setpgid(2), orphaned process groups.
        assert os.getsid(ready.init_pid) == ready.init_pid


def test_the_program_cannot_signal_its_recorder_nor_take_a_terminal(victim):
    code = (
        "import errno, os, signal\n"
        "for attempt in (lambda: os.open('/dev/tty', os.O_RDWR), os.setsid):\n"
        "    try: attempt()\n"
        "    except OSError as error: assert error.errno in (errno.ENXIO, errno.EPERM)\n"
        "    else: raise SystemExit(1)\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n"
        "os.kill(0, signal.SIGTERM)\n"
    )
    assert record_by_notify("/usr/bin/python3", "-c", code, expect=7).gaps == ()


def test_a_listener_of_the_programs_own_is_refused_and_said(victim):
    run = record_by_notify(victim("listener", static=True))
    assert [(gap.kind, gap.count) for gap in run.gaps] == [(GapKind.NESTED_LISTENER, 1)]
    assert run.completeness is Completeness.OPAQUE


def test_the_launchers_own_calls_are_not_the_programs(victim):
    run = record_by_notify(victim("listener", static=True))
    names = {call.name for call in run.syscalls}
    assert "seccomp" in names
    assert not names & {"close_range", "sendmsg", "setrlimit", "execve", "recvfrom"}
    assert all(call.errors is None for call in run.syscalls)
    assert run.host.unseen == tuple(Unseen)
    assert run.capabilities == ()


def test_the_listener_is_not_the_programs(victim):
    code = "import os, sys; sys.exit(len([fd for fd in os.listdir('/proc/self/fd') if int(fd) > 2]) - 1)"
    assert record_by_notify("/usr/bin/python3", "-c", code).gaps == ()


def test_too_many_argument_combinations_are_unknown_and_not_a_part(victim):
    for count, values in ((9, None), (8, (0x10000,))):
        run = record_by_notify(victim("many"), "ioctls", count, combinations=8)
        seen = [entry for entry in run.arguments if entry.name == "ioctl"]
        assert seen[0].values == values
        assert sum(entry.count for entry in seen) == count


def test_what_was_there_decides_what_may_have_worked(tmp_path):
    (tmp_path / "there").write_text("")
    script = "mkdir there new no/new; rm gone; cat missing; : >there; : >made; set -C; : >there"
    found = operations(record_by_notify("/bin/sh", "-c", script, cwd=tmp_path, expect=2), tmp_path)
    results = {(path, str(operation)): result for path, operation, result in found if operation != "stat"}
    assert results["there", "mkdir"] == "present"
    assert results["new", "mkdir"] == "unknown"
    assert results["no/new", "mkdir"] == "absent"
    assert results["gone", "unlink"] == "absent"
    assert results["missing", "read"] == "absent"
    assert results["made", "create"] == "unknown"
    assert ("there", "create", "unknown") not in found
    assert ("there", "write", "unknown") in found


def test_a_table_that_nobody_finished_is_incomplete():
    fd = os.memfd_create("calls")
    os.ftruncate(fd, TABLE_SIZE)
    os.pwrite(fd, encode_table(arch=Arch.X86_64, seed=1), 0)
    assert read_table(fd, arch=Arch.X86_64).losses == {"recorder": 1}
    os.close(fd)


def test_how_far_it_is_can_be_watched(victim, tmp_path):
    with NotifyRecorder() as recorder:
        assert recorder.progress().calls == 0
        spec = spec_of(victim("many"), "misses", 50, listener_cookie=recorder.cookie)
        with start(plan_of(spec), gate=False, calls_fd=recorder.fd) as sandbox:
            sandbox.wait(DEADLINE_S)
        first, second = recorder.progress(), recorder.progress()
    assert first.calls > 50
    assert first.new > 50
    assert first.last.startswith("open")
    assert (first.tasks, first.lost) == (None, 0)
    assert first == second
