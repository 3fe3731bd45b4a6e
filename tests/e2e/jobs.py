"""The real programs that trace, profile and run are proven on: how each is started, driven, and what it must give."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

HARDEN = ROOT / ".venv/bin/harden"
IN_PYTHON = ROOT / ".venv/bin/harden-python"
"""For setpriv(1) to start as another user: it opens the interpreter while it still may, wherever that lies; `harden`,
which starts this, may not any more."""
DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """A program and, for a server, the commands that use it once `port` listens."""

    name: str
    command: tuple[str, ...]
    drive: tuple[tuple[str, ...], ...] = ()
    port: int | None = None
    stop: str = "TERM"
    features: tuple[str, ...] = ()
    result: Callable[[Path], str] = lambda _folder: ""
    """What the job leaves behind in its folder, beside its output."""
    answer: Callable[[list[str]], str] = lambda _outputs: ""
    """What must be the same every time in the outputs of `drive`."""

    def scenario(self) -> str:
        """The job as a scenario file."""
        lines = ['format = "harden-scenario/1"']
        if self.port:
            lines.append(f"ready = {{ port = {self.port} }}")
            lines += [f"[[step]]\nrun = {list(command)!r}".replace("'", '"') for command in self.drive]
            lines.append(f'[[step]]\nstop = {{ signal = "{self.stop}", within_s = 30, expect_status = 0 }}')
        return "\n".join(lines) + "\n"


def _counts_of_ab(outputs: list[str]) -> str:
    counted = ("Complete requests", "Failed requests", "Document Length", "HTML transferred")
    return "\n".join(line for line in outputs[0].splitlines() if line.startswith(counted))


SQLITE = Job(
    name="sqlite3",
    command=(
        "sqlite3",
        "notes.db",
        (
            "create table note(id integer primary key, text);"
            "insert into note(text) values('one'),('two'),('three');"
            "delete from note where id=2;"
            "select id, text from note order by id;"
        ),
    ),
    features=("sqlite3",),
    result=lambda folder: (
        subprocess.run(
            ["sqlite3", str(folder / "notes.db"), "select count(*), sum(id) from note"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    ),
)
REDIS = Job(
    name="redis-server",
    command=("redis-server", "--port", "6379", "--bind", "127.0.0.1"),
    port=6379,
    drive=(
        ("redis-benchmark", "-q", "-n", "500", "-c", "5", "-t", "set,get,incr,lpush"),
        ("redis-cli", "set", "greeting", "hello"),
        ("redis-cli", "get", "greeting"),
    ),
    features=("redis",),
    answer=lambda outputs: "".join(outputs[1:]),
)
NGINX = Job(
    name="nginx",
    command=("nginx", "-g", "daemon off;"),
    port=80,
    drive=(("ab", "-q", "-n", "200", "-c", "4", "http://127.0.0.1:80/"),),
    stop="QUIT",
    features=("nginx", "ab"),
    answer=_counts_of_ab,
)
PYTHON = Job(
    name="python3",
    command=(
        "/usr/bin/python3",
        "-c",
        "import ssl, json, asyncio; print(json.dumps({'slept': asyncio.run(asyncio.sleep(0, 'yes'))}))",
    ),
)
JOBS = (SQLITE, REDIS, NGINX, PYTHON)


def environment() -> dict[str, str]:
    """The environment of every job: nothing of the test run's own."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


def harden(
    *arguments: str, cwd: Path, check: bool = True, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `cwd`, by the command `before`."""
    done = subprocess.run(
        [*before, str(HARDEN), *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * 2,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if check:
        assert done.returncode == 0, f"harden {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def trace(job: Job, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Trace `job` in `folder` into job.profile.toml."""
    (folder / "job.scenario.toml").write_text(job.scenario())
    return harden("trace", "--name", "job", "--scenario", "job.scenario.toml", *options, "--", *job.command, cwd=folder)


@contextmanager
def started(argv: list[str], *, cwd: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server started by `argv`, with the pid of one of its processes whose network namespace has `port` listening."""
    server = subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield server, _listener(server, port)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.communicate(timeout=DEADLINE_S)


def _listener(server: subprocess.Popen[str], port: int) -> int:
    """Looks only into other network namespaces than this one: a process that has not left it yet shows its sockets."""
    deadline = time.monotonic() + DEADLINE_S
    own = os.stat("/proc/self/ns/net").st_ino
    while server.poll() is None and time.monotonic() < deadline:
        for pid in (server.pid, *_descendants(server.pid)):
            if _network(pid) not in (None, own) and _listens(pid, port):
                return pid
        time.sleep(0.02)
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
    out, err = server.communicate()
    raise AssertionError(f"nothing listens on {port}: {out}\n{err}")


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    for child in map(int, children):
        found += [child, *_descendants(child)]
    return found


def _network(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def _listens(pid: int, port: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except (FileNotFoundError, OSError):
        return False
    return any(line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port for line in lines)


def run_in_network_of(pid: int, command: tuple[str, ...]) -> str:
    """The output of `command`, run in the network namespace of `pid`."""
    nsenter = shutil.which("nsenter")
    assert nsenter, "nsenter comes with util-linux"
    done = subprocess.run(
        [nsenter, "-t", str(pid), "-n", "--", *command],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def perform(job: Job, argv: list[str], folder: Path) -> str:
    """Run `argv`, which starts `job` in one way or another, drive it, and give what a user would see of it."""
    if job.port is None:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + job.result(folder)
    with started(argv, cwd=folder, port=job.port) as (server, pid):
        answers = [run_in_network_of(pid, command) for command in job.drive]
        os.kill(server.pid, signal.Signals[f"SIG{job.stop}"])
        server.wait(DEADLINE_S)
    assert server.returncode == 0
    return job.answer(answers) + job.result(folder)
