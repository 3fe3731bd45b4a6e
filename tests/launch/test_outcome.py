"""How a program ends is passed on exactly, in both ways of starting it."""

from __future__ import annotations

import os
import select
import signal

import msgspec
import pytest

from harden.errors import HardenError, NotExecutable, ProgramNotFound
from harden.launch.plan import plan
from harden.launch.spawn import start
from harden.model.control import Enforcement
from harden.model.sandbox import View
from tests.sandboxes import NOBODY, features, harden_run, plan_of, python, run, shell, spec_of

pytestmark = pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp", "nobody")


@pytest.mark.parametrize("status", [0, 3, 255])
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_exit_status_of_a_run(status, uid):
    ended = harden_run(shell(f"echo out; echo err >&2; exit {status}", view=View.MINIMAL), uid=uid)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "out\n", "err\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_a_signal_becomes_128_plus_its_number(number, uid):
    assert harden_run(shell(f"kill -{int(number)} $$", view=View.MINIMAL), uid=uid).returncode == 128 + number


def test_outcome_beside_this_process():
    assert run(shell("exit 3")).outcome.exit_status == 3
    killed = run(shell("kill -9 $$")).outcome
    assert (killed.exit_status, killed.signal, killed.status) == (None, 9, 137)


def test_what_is_in_force_is_part_of_the_outcome():
    enforced = run(shell("true")).outcome.enforced
    assert enforced is not None
    assert enforced.result is Enforcement.FULLY_ENFORCED
    values = {state.control.value: state.value for state in enforced.controls}
    assert values["no-new-privs"] == "NoNewPrivs 1"
    assert " 65536" in values["user-namespace"]


def test_a_missing_program_is_127():
    ended = harden_run(spec_of("/usr/bin/no-such-program"))
    assert ended.returncode == 127
    assert ended.stderr.startswith("harden: /usr/bin/no-such-program: ")


def test_a_file_that_is_not_executable_is_126():
    ended = harden_run(spec_of("/etc/passwd"))
    assert ended.returncode == 126
    assert "/etc/passwd" in ended.stderr


def test_a_script_without_its_interpreter_is_127_and_said_once(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    ended = harden_run(spec_of(script))
    assert ended.returncode == 127
    assert ended.stderr.startswith(
        f"harden: cannot execute {script}: execve: ENOENT (No such file or directory)\nhint: "
    )
    assert ended.stderr.count("ENOENT") == 1
    with pytest.raises(ProgramNotFound):
        run(spec_of(script))


def test_a_file_of_an_unknown_format_is_126(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fNOT")
    program.chmod(0o755)
    assert harden_run(spec_of(program)).returncode == 126
    with pytest.raises(NotExecutable, match="ENOEXEC"):
        run(spec_of(program))


def test_timeout_kills_and_is_124():
    ended = harden_run(shell("sleep 60 & sleep 60", timeout_s=2.0))
    assert ended.returncode == 124
    outcome = run(shell("sleep 60", timeout_s=2.0)).outcome
    assert (outcome.timed_out, outcome.status) == (True, 124)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH])
def test_signals_reach_the_program(number):
    reader, writer = os.pipe2(os.O_CLOEXEC)
    script = f"trap 'echo got; exit 7' {number.name[3:]}; echo ready; while :; do sleep 0.01; done"
    with start(plan_of(shell(script)), gate=False, stdout=writer) as sandbox, open(reader) as output:
        os.close(writer)
        assert output.readline() == "ready\n"
        os.kill(sandbox.pid, number)
        assert output.readline() == "got\n"
        assert sandbox.wait(10).exit_status == 7


def test_sandbox_signal_reaches_the_program():
    with start(plan_of(spec_of("/bin/sleep", "60"))) as sandbox:
        sandbox.ready(10)
        sandbox.open_gate()
        assert not sandbox.poll()
        sandbox.signal(signal.SIGTERM)
        assert sandbox.wait(10).signal == signal.SIGTERM


def test_the_gate_holds_the_program_back():
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with start(plan_of(shell("echo ran")), stdout=writer) as sandbox, open(reader) as output:
        os.close(writer)
        ready = sandbox.ready(10)
        assert ready.payload_pid > 1
        assert os.readlink(f"/proc/{ready.payload_pid}/exe").startswith("/memfd:harden-exec")
        assert not select.select([output], [], [], 0)[0]
        sandbox.open_gate()
        assert output.read() == "ran\n"
        assert sandbox.wait(10).status == 0


def test_a_gate_that_closes_ends_the_sandbox():
    with start(plan_of(shell("echo ran"))) as sandbox:
        sandbox.ready(10)
        os.close(sandbox._gate_fd)
        sandbox._gate_fd = -1
        with pytest.raises(HardenError, match="gate was closed"):
            sandbox.wait(10)


def test_the_sandbox_ends_when_its_parent_dies():
    """A workload must not go on unrecorded: the lifeline's other end is only closed here."""
    with start(plan_of(spec_of("/bin/sleep", "60"))) as sandbox:
        ready = sandbox.ready(10)
        sandbox.open_gate()
        payload = os.pidfd_open(ready.payload_pid)
        os.close(sandbox._lifeline_fd)
        assert select.select([payload], [], [], 10)[0] == [payload]
        os.close(payload)
        assert sandbox.wait(10).signal == signal.SIGKILL
        sandbox._lifeline_fd = os.open("/dev/null", os.O_RDONLY)


def test_a_supervisor_that_is_killed_takes_the_sandbox_with_it():
    with start(plan_of(spec_of("/bin/sleep", "60"))) as sandbox:
        ready = sandbox.ready(10)
        sandbox.open_gate()
        payload = os.pidfd_open(ready.payload_pid)
        os.kill(sandbox.pid, signal.SIGKILL)
        assert select.select([payload], [], [], 10)[0] == [payload]
        os.close(payload)


def test_what_the_program_leaves_behind_is_killed():
    script = "setsid sleep 3600 >/dev/null 2>&1 & setsid sh -c 'sleep 3600 & sleep 3600' >/dev/null 2>&1 & exit 0"
    with start(plan_of(shell(script))) as sandbox:
        ready = sandbox.ready(10)
        namespace = os.stat(f"/proc/{ready.init_pid}/ns/pid").st_ino
        sandbox.open_gate()
        assert sandbox.wait(10).status == 0
    assert namespace not in pid_namespaces()


def pid_namespaces() -> set[int]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.add(os.stat(f"/proc/{name}/ns/pid").st_ino)
            except OSError:
                continue
    return found


@pytest.fixture
def own_cgroup():
    """A cgroup of this test alone: other tests make theirs at the same time."""
    base = features().cgroup
    assert base is not None
    path = base + b"/harden-test-%d" % os.getpid()
    os.mkdir(path)
    yield path
    os.rmdir(path)


def test_nothing_is_left_behind_after_twenty_runs(own_cgroup):
    mine = msgspec.structs.replace(features(), cgroup=own_cgroup)

    def snapshot() -> tuple[str, list[bytes], int]:
        folders = [name for name in os.listdir(own_cgroup) if name.startswith(b"harden-")]
        with open("/proc/self/mountinfo") as mounts:
            return mounts.read(), folders, len(os.listdir("/proc/self/fd"))

    before = snapshot()
    assert before[1] == []
    for turn in range(20):
        with start(plan(shell(f"echo x > /root/made; exit {turn}"), mine), gate=False) as sandbox:
            assert sandbox.wait(10).exit_status == turn
    assert snapshot() == before
    code = (
        "import sys, msgspec\nfrom tests.sandboxes import features, shell\n"
        "from harden.launch.plan import plan\nfrom harden.launch.spawn import exec_plan\n"
        "mine = msgspec.structs.replace(features(), cgroup=sys.argv[1].encode())\n"
        "exec_plan(plan(shell('exit 7'), mine))\n"
    )
    for _ in range(5):
        assert python(code, os.fsdecode(own_cgroup)).returncode == 7
    assert snapshot() == before
