"""SIGINT while harden itself starts, works and ends.

strace sends it at the N-th openat of the command: each run gets it at the same place, in the dynamic loader, in the
start of the interpreter, in imports, in the command.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandboxes import ROOT

pytestmark = pytest.mark.requires("strace", "root", "bpf", "userns", "seccomp", "overlay", "idmap")

HARDEN = str(ROOT / ".venv/bin/harden")
CAT = ("/bin/cat", "/proc/self/status", "/proc/self/environ")
RUN = ("run", "--enforced-json", "enforced.json", "-p", "cat.profile.toml")
"""No plan is kept of a start that writes what is in force: each is Python's."""
CHECK = ("check", "--fail-on", "critical")
TRACE = ("trace", "--force", "--", *CAT)
POINTS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("interrupt")
    start(made, *TRACE)
    return made


def start(folder: Path, *words: str, prepare: Callable[[], object] | None = None, strace: tuple[str, ...] = ()):
    command = [*(("strace", *strace) if strace else ()), HARDEN, *words]
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=prepare,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def interrupted(folder: Path, *words: str, at: int, prepare: Callable[[], object] | None = None):
    inject = ("-o", "/dev/null", "-e", "trace=openat", "-e", f"inject=openat:signal=SIGINT:when={at}")
    return start(folder, *words, prepare=prepare, strace=inject)


def files_opened(folder: Path, *words: str) -> int:
    """How many times harden calls openat until it is harden-exec, if it becomes that."""
    log = folder / "log"
    assert start(folder, *words, strace=("-o", str(log), "-e", "trace=openat,execve,execveat")).returncode == 0
    own = [line for line in log.read_text().partition('"harden-exec"')[0].splitlines() if line.startswith("openat(")]
    assert len(own) > 100
    return len(own)


def points(last: int) -> list[int]:
    """From the first on; a few less than all, of which a start has one more or less."""
    return [1 + (last - 10) * step // (POINTS - 1) for step in range(POINTS)]


def is_clean_end(ended: subprocess.CompletedProcess[str]) -> bool:
    """By SIGINT itself where harden has no handler: before there is an interpreter, and when that is over."""
    if ended.returncode == -signal.SIGINT:
        return ended.stderr == ""
    return ended.returncode == 130 and ended.stderr.strip() == "harden: interrupted"


@pytest.mark.parametrize("words", [RUN, CHECK, ("--version",)], ids=lambda words: words[0])
def test_no_traceback_wherever_it_comes(folder, words):
    last = files_opened(folder, *words)
    ends = {at: interrupted(folder, *words, at=at) for at in points(last)}
    assert {at: (ended.returncode, ended.stderr) for at, ended in ends.items() if not is_clean_end(ended)} == {}
    assert "harden: interrupted" in {ended.stderr.strip() for ended in ends.values()}


def test_nor_while_trace_starts(folder):
    last = files_opened(folder, "--version")
    ends = {at: interrupted(folder, *TRACE, at=at) for at in points(last)}
    assert {at: (ended.returncode, ended.stderr) for at, ended in ends.items() if not is_clean_end(ended)} == {}


def ignore() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def masks(text: str) -> tuple[int, int]:
    """Blocked and ignored signals of the program, and that it knows nothing of how harden was started."""
    assert "HARDEN" not in text
    status = dict(line.split(":\t") for line in text.splitlines() if line.startswith("Sig"))
    return int(status["SigBlk"], 16), int(status["SigIgn"], 16)


def test_the_program_gets_the_mask_that_harden_was_started_with(folder):
    bit = 1 << signal.SIGINT - 1
    plain, blocked, ignored = (start(folder, *RUN, prepare=prepare) for prepare in (None, block, ignore))
    assert masks(plain.stdout)[0] & bit == 0
    assert masks(blocked.stdout)[0] & bit
    assert masks(ignored.stdout)[0] & bit == 0
    assert masks(ignored.stdout)[1] & bit


@pytest.mark.parametrize("prepare", [block, ignore])
def test_who_does_not_want_it_is_not_interrupted(folder, prepare):
    for at in points(files_opened(folder, *CHECK)):
        ended = interrupted(folder, *CHECK, at=at, prepare=prepare)
        assert (ended.returncode, ended.stderr) == (0, ""), at


def test_nothing_of_it_is_recorded(folder):
    assert "HARDEN" not in json.dumps(json.loads((folder / "cat.recording.json").read_text()))
    assert "HARDEN" not in (folder / "cat.profile.toml").read_text()
