"""Recording a program without the launcher: a cgroup, a process that waits at a gate, the recorder, the gate opens."""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from harden.model.recording import FileOperation, FileSeen, Run, RunStatus
from harden.model.workload import Workload
from harden.trace import Observations, Recorder, build_run
from tests.conftest import compile_victim

__all__ = ["Gated", "cgroup", "gated", "operations", "record", "run_of"]


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
                folder.rmdir()
            return
    raise AssertionError("no cgroup v2 mount")


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


def record(*command: object, cwd: Path | None = None, options: Sequence[str] = (), expect: int = 0) -> Run:
    """What `command` does, which must end with the status `expect`."""
    with (
        cgroup() as folder,
        gated(folder, *command, cwd=cwd, options=options) as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        process.open()
        assert process.wait() == expect
        return run_of(recorder.stop())


def operations(run: Run, folder: Path) -> dict[tuple[str, FileOperation, str], FileSeen]:
    """Operations below `folder` by relative path, operation and result."""
    found = {}
    for seen in run.files:
        if Path(seen.path).is_relative_to(folder):
            found[str(Path(seen.path).relative_to(folder)), seen.operation, seen.result] = seen
    return found
