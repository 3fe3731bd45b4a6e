"""Who started harden ends while harden still starts: it is held up where it tells a note, by a pipe that is full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandboxes import ROOT

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap")

HARDEN = str(ROOT / ".venv/bin/harden")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

STARTER = """
import ctypes, fcntl, json, os, signal, sys
from pathlib import Path
ends, *command = sys.argv[1:]
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
WRITE = 1 if os.uname().machine == "x86_64" else 64
notes, full = os.pipe()
os.set_blocking(full, False)
fcntl.fcntl(full, fcntl.F_SETPIPE_SZ, 4096)
try:
    while True:
        os.write(full, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(full, True)
output, program_output = os.pipe()
numbers, number = os.pipe()
parent = os.fork()
if parent == 0:
    os.set_inheritable(program_output, True)
    actions = [(os.POSIX_SPAWN_DUP2, full, 2), (os.POSIX_SPAWN_DUP2, program_output, 1)]
    os.write(number, b"%d" % os.posix_spawn(command[0], command, os.environ, file_actions=actions))
    os.closerange(3, 20)
    signal.pause()
os.close(full)
os.close(program_output)
harden = int(os.read(numbers, 20))
# "NUMBER 0x2 ...": it is asleep in write(2, ...); proc_pid_syscall(5).
while Path(f"/proc/{harden}/syscall").read_text().split()[:2] != [str(WRITE), "0x2"]:
    os.sched_yield()
by = Path(f"/proc/{harden}/comm").read_text().strip()
if ends == "ends":
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
said = b""
while more := os.read(notes, 4096):
    said += more
wrote = b""
while more := os.read(output, 4096):
    wrote += more
if ends != "ends":
    # It is the parent's to reap: that parent ends, and leaves it to this one.
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
status = os.waitstatus_to_exitcode(os.waitpid(harden, 0)[1])
print(json.dumps([by, said.decode().strip("x"), wrote.decode(), status]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a profile about which there is something to tell."""
    traced = [HARDEN, "trace", "--name", "echo", "--", "/bin/echo", "it", "ran"]
    subprocess.run(traced, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True)
    profile = tmp_path / "echo.profile.toml"
    whole = profile.read_text()
    profile.write_text(whole.replace('completeness = "complete"', 'completeness = "incomplete"'))
    assert profile.read_text() != whole
    return tmp_path


def start(folder: Path, parent: str, *command: str) -> tuple[str, str, int]:
    """Which program it was held up in, what the sandboxed one wrote, and the exit status."""
    ended = subprocess.run(
        [sys.executable, "-c", STARTER, parent, *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    by, said, wrote, status = json.loads(ended.stdout)
    assert [line for line in said.splitlines() if "recording that is incomplete" not in line] == []
    return by, wrote, status


def start_kept(folder: Path, parent: str) -> tuple[str, int]:
    """What the sandboxed program wrote and the exit status of a start without Python. Where something that the plan
    depends on has changed meanwhile, such as a mount of the host, that is not the next start, but one after it."""
    for _ in range(10):
        subprocess.run([HARDEN, "run"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
        by, wrote, status = start(folder, parent, HARDEN, "run")
        if by == "harden":
            return wrote, status
    pytest.fail("no plan was kept")


def test_a_start_by_python_ends_too(folder):
    command = (HARDEN, "run", "--enforced-json", "enforced.json")
    assert start(folder, "ends", *command) == ("harden-python", "", 137)
    assert start(folder, "stays", *command) == ("harden-python", "it ran\n", 0)
    assert start(folder, "ends", *command, "--no-die-with-parent") == ("harden-python", "it ran\n", 0)


def test_a_start_from_a_kept_plan_ends_too(folder):
    assert start_kept(folder, "ends") == ("", 137)
    assert start_kept(folder, "stays") == ("it ran\n", 0)


def test_so_does_one_without_the_command(folder):
    subprocess.run([HARDEN, "run"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
    for more in ((), ("--enforced-json", "enforced.json")):
        command = (sys.executable, "-m", "harden", "run", *more)
        assert start(folder, "ends", *command)[1:] == ("", 137)
        assert start(folder, "stays", *command)[1:] == ("it ran\n", 0)
