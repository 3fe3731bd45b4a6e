"""Recording a program with either backend.

With BPF without the launcher: a cgroup, a process that waits at a gate, the recorder, the gate opens. By user
notification in a sandbox, because the launcher is what hands the listener over: on a copy of the host's files, as root
inside with every capability, or started by an ordinary user without any.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
import pytest

from harden.launch.spawn import start
from harden.model.capability import Capability
from harden.model.recording import FileOperation, FileSeen, Run, RunStatus
from harden.model.sandbox import NetworkMode
from harden.model.workload import Workload
from harden.trace import NotifyRecorder, Observations, Recorder, build_run
from harden.trace.layout import COMBINATIONS
from tests.conftest import compile_victim
from tests.sandboxes import NOBODY, plan_of, python, spec_of

__all__ = [
    "BACKENDS",
    "EVERY_BACKEND",
    "Gated",
    "Record",
    "as_seen_by",
    "cgroup",
    "empty",
    "gated",
    "observe",
    "operations",
    "record",
    "record_as_user",
    "record_by_notify",
    "run_of",
]

BACKENDS: Final = (
    pytest.param("bpf", marks=pytest.mark.requires("bpf", "cgroup2")),
    pytest.param("notify", marks=pytest.mark.requires("seccomp-notify", "overlay", "idmap")),
)

EVERY_BACKEND: Final = (
    *BACKENDS,
    pytest.param("notify as a user", marks=pytest.mark.requires("nobody", "userns", "seccomp-notify")),
)
"""The second one as root and as an ordinary user, for whom it is made."""


@contextlib.contextmanager
def cgroup() -> Iterator[Path]:
    """A new cgroup v2 folder, removed at the end."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        if after.split()[0] == "cgroup2":
            folder = Path(before.split()[4], f"harden-test-{uuid.uuid4().hex[:12]}")
            folder.mkdir()
            try:
                yield folder
            finally:
                empty(folder)
                folder.rmdir()
            return
    raise AssertionError("no cgroup v2 mount")


def empty(folder: Path) -> None:
    """Kill what is in a cgroup, and wait until all of it is gone: a process that was killed is still there for long."""
    with (folder / "cgroup.events").open() as events:
        changed = select.poll()
        changed.register(events, select.POLLPRI)
        (folder / "cgroup.kill").write_text("1")
        while "populated 1" in events.read():
            assert changed.poll(60_000), f"{folder} is not empty"
            events.seek(0)


class Gated:
    """A process in a cgroup that executes its command when the gate opens."""

    def __init__(
        self, folder: Path, command: Sequence[object], cwd: Path | None, options: Sequence[str], stdin: int
    ) -> None:
        gate, self._gate = os.pipe()
        words = [str(compile_victim("gate")), *options, str(gate), *map(str, command)]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(words, cwd=cwd, pass_fds=(gate,), stdin=stdin, stdout=null)
        os.close(gate)
        (folder / "cgroup.procs").write_text(str(self.process.pid))

    def open(self) -> None:
        os.write(self._gate, b"x")

    def wait(self) -> int:
        return self.process.wait(timeout=60)

    def end(self) -> None:
        os.close(self._gate)
        self.process.kill()
        self.process.wait(timeout=60)


@contextlib.contextmanager
def gated(
    folder: Path,
    *command: object,
    cwd: Path | None = None,
    options: Sequence[str] = (),
    stdin: int = subprocess.DEVNULL,
) -> Iterator[Gated]:
    """A gated process, killed at the end if it still lives."""
    process = Gated(folder, command, cwd, options, stdin)
    try:
        yield process
    finally:
        process.end()


def run_of(observations: Observations, status: int = 0) -> Run:
    """The run with a made-up workload, looking at this machine's files."""
    return build_run(
        observations,
        workload=Workload(program="/x", argv=("x",), cwd="/"),
        status=RunStatus(exit_status=status, signal=None),
        resolve=lambda path: path,
    )


class Record(Protocol):
    """Records a command with one of the backends."""

    backend: str

    def __call__(
        self,
        *command: object,
        cwd: Path | None = None,
        options: Sequence[str] = (),
        expect: int = 0,
        combinations: int = COMBINATIONS,
    ) -> Run:
        """The run of `command`, which must end with the status `expect`; `options` are those of BPF's gate."""


def record(
    *command: object,
    cwd: Path | None = None,
    options: Sequence[str] = (),
    expect: int = 0,
    combinations: int = COMBINATIONS,
    stacks: bool = False,
) -> Run:
    """What `command` does, which must end with the status `expect`."""
    with (
        cgroup() as folder,
        gated(folder, *command, cwd=cwd, options=options) as process,
        Recorder.attach(folder.stat().st_ino, combinations=combinations, stacks=stacks) as recorder,
    ):
        recorder.begin()
        process.open()
        assert process.wait() == expect
        return run_of(recorder.stop())


def observe(
    *command: object,
    cwd: Path | None = None,
    expect: int | None = 0,
    combinations: int = COMBINATIONS,
    network: NetworkMode = NetworkMode.NONE,
) -> Observations:
    """What is seen of `command` by user notification; with `expect` None a signal may end it.

    The program holds every capability if this process is root's.
    """
    words = [str(word) for word in command]
    folder = Path("/") if cwd is None else cwd
    with NotifyRecorder(combinations=combinations) as recorder:
        spec = spec_of(
            *words,
            program=os.fsencode(folder / words[0]),
            cwd=os.fsencode(folder),
            capabilities=frozenset() if os.geteuid() else frozenset(map(int, Capability)),
            listener_cookie=recorder.cookie,
            network=network,
        )
        null = os.open("/dev/null", os.O_RDWR)
        recorder.begin()
        try:
            with start(plan_of(spec), gate=False, stdin=null, stdout=null, calls_fd=recorder.fd) as sandbox:
                outcome = sandbox.wait(120)
        finally:
            os.close(null)
        assert outcome.exit_status == expect, outcome
        return recorder.stop()


def record_by_notify(
    *command: object, cwd: Path | None = None, expect: int | None = 0, combinations: int = COMBINATIONS
) -> Run:
    """The run that `observe` saw."""
    return run_of(observe(*command, cwd=cwd, expect=expect, combinations=combinations))


_AS_USER: Final = """
import sys, msgspec
from pathlib import Path
from tests.kernel.recorded import record_by_notify
cwd, expect, combinations, *command = sys.argv[1:]
run = record_by_notify(*command, cwd=Path(cwd), expect=int(expect), combinations=int(combinations))
sys.stdout.buffer.write(msgspec.json.encode(run))
"""


def record_as_user(*command: object, cwd: Path | None = None, expect: int = 0, combinations: int = COMBINATIONS) -> Run:
    """The same by the user nobody, who gets `cwd` and what is in it."""
    if cwd is not None:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", cwd], check=True)
    words = (str(cwd or "/"), str(expect), str(combinations), *map(str, command))
    done = python(_AS_USER, *words, uid=NOBODY, timeout_s=120)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Run)


def as_seen_by(backend: str, seen: set[tuple[str, FileOperation, str]]) -> set[tuple[str, FileOperation, str]]:
    """What `backend` makes of operations that BPF sees with these results."""
    words: Mapping[str, str] = {"ok": "unknown", "ENOENT": "absent"}
    return seen if backend == "bpf" else {(path, operation, words[result]) for path, operation, result in seen}


def operations(run: Run, folder: Path) -> dict[tuple[str, FileOperation, str], FileSeen]:
    """Operations below `folder` by relative path, operation and result."""
    found = {}
    for seen in run.files:
        if Path(seen.path).is_relative_to(folder):
            found[str(Path(seen.path).relative_to(folder)), seen.operation, seen.result] = seen
    return found
