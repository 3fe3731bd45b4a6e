"""A cgroup whose owner was killed is removed by the next start; one that is in use, or being made, is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harden.kernel.cgroup_owner import mark, remove_stale
from harden.model.sandbox import View
from tests.sandboxes import ROOT, features, harden_run, python, run_script, shell

pytestmark = pytest.mark.requires("root", "cgroup2", "userns", "seccomp")


@pytest.fixture
def base() -> Iterator[Path]:
    """A cgroup of our own, in which nobody else starts anything."""
    above = features().cgroup
    assert above is not None
    own = Path(os.fsdecode(above), f"owner-{os.getpid()}")
    own.mkdir()
    yield own
    for folder in (*own.glob("*/*/*/"), *own.glob("*/*/"), *own.glob("*/"), own):
        folder.rmdir()


def swept(base: Path) -> list[str]:
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_stale(descriptor)
    finally:
        os.close(descriptor)
    return sorted(path.name for path in base.iterdir() if path.is_dir())


def made(base: Path, token: str) -> Path:
    payload = base / f"harden-{token}/limited/payload"
    payload.mkdir(parents=True)
    return payload


_MARK = "import os, sys; from harden.kernel.cgroup_owner import mark; mark(os.open(sys.argv[1], os.O_RDONLY))"


def test_only_what_has_lost_its_owner_is_removed(base: Path) -> None:
    lost, ours, unmarked, foreign = (made(base, letter * 12) for letter in "abcd")
    (base / ("harden-" + "a" * 12) / "helper").mkdir()
    assert python(_MARK, str(lost)).returncode == 0
    mark(os.open(ours, os.O_RDONLY))
    os.setxattr(foreign, "user.harden.owner", b"1 999999 5")
    others = [base / name for name in ("harden-supervisor", "harden-" + "z" * 12, "other-" + "a" * 12)]
    for other in others:
        (other / "limited/payload").mkdir(parents=True)
        assert python(_MARK, str(other / "limited/payload")).returncode == 0
    assert swept(base) == sorted([*(other.name for other in others), *("harden-" + letter * 12 for letter in "bcd")])
    assert unmarked.exists()


def test_one_that_nobody_marked_is_removed_when_it_is_much_too_old(base: Path) -> None:
    made(base, "a" * 12)
    made(base, "b" * 12)
    (base / ("harden-" + "c" * 12)).mkdir()
    an_hour_ago = time.time() - 3600
    for letter in "bc":
        os.utime(base / ("harden-" + letter * 12), (an_hour_ago, an_hour_ago))
    assert swept(base) == ["harden-" + "a" * 12]


def test_a_number_that_is_used_again_is_not_the_owner(base: Path) -> None:
    payload = made(base, "a" * 12)
    mark(os.open(payload, os.O_RDONLY))
    namespace, pid, started = os.getxattr(payload, "user.harden.owner").split()
    os.setxattr(payload, "user.harden.owner", b" ".join((namespace, pid, b"%d" % (int(started) - 1))))
    assert swept(base) == []


def test_one_that_holds_a_process_stays(base: Path) -> None:
    payload = made(base, "a" * 12)
    assert python(_MARK, str(payload)).returncode == 0
    sleeper = subprocess.Popen(["sleep", "100"])
    (payload / "cgroup.procs").write_text(str(sleeper.pid))
    assert swept(base) == ["harden-" + "a" * 12]
    sleeper.kill()
    sleeper.wait()
    while "populated 1" in (payload / "cgroup.events").read_text():
        pass
    assert swept(base) == []


_KILLED = """
import os, sys
from pathlib import Path
from tests.sandboxes import plan_of, shell
from harden.launch.spawn import exec_plan
from harden.model.sandbox import View
Path(sys.argv[1], "cgroup.procs").write_text("0")
exec_plan(plan_of(shell("echo started; sleep 100", view=View.MINIMAL)))
"""


def test_a_killed_launcher_leaves_one_that_the_next_start_removes(base: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
    command = [sys.executable, "-c", _KILLED, str(base)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "started\n"
        launcher.send_signal(signal.SIGKILL)
        assert launcher.stdout.read() == ""
    (left,) = [path for path in base.iterdir() if path.is_dir()]
    while "populated 1" in (left / "cgroup.events").read_text():
        pass
    assert swept(base) == []


@pytest.mark.requires("overlay", "idmap")
def test_parallel_starts_take_nothing_from_each_other() -> None:
    """Each removes what it takes for stale while the others are between mkdir(2) and clone3(2)."""
    spec = shell("echo ran", view=View.MINIMAL)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: run_script(spec), range(40))) == {"ran\n"}


@pytest.mark.requires("bpf", "landlock", "overlay", "idmap")
def test_a_start_from_a_kept_plan_marks_its_own(tmp_path: Path) -> None:
    harden = str(ROOT / ".venv/bin/harden")
    traced = [harden, "trace", "--name", "app", "--", "/bin/sh", "-c", "echo started; read word; true"]
    subprocess.run(traced, cwd=tmp_path, input="\n", text=True, capture_output=True, check=True)
    base = features().cgroup
    assert base is not None
    for _ in range(2):
        with subprocess.Popen(
            [harden, "run"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "started\n"
            folders = Path(os.fsdecode(base)).glob("harden-*/limited/payload")
            owners = [os.getxattr(path, "user.harden.owner").split()[1] for path in folders if is_marked(path)]
            assert str(program.pid).encode() in owners
            program.communicate("\n")


def is_marked(path: Path) -> bool:
    try:
        return "user.harden.owner" in os.listxattr(path)
    except FileNotFoundError:
        return False


@pytest.mark.requires("overlay", "idmap", "x86_64")
def test_without_marks_nothing_starts_and_the_call_is_named() -> None:
    for number in (1, 38):
        ended = harden_run(shell("echo ran", view=View.MINIMAL), refuse_after=(190,), errno=number)
        assert (ended.returncode, ended.stdout) == (125, "")
        assert ended.stderr.startswith("harden: setxattr(")
