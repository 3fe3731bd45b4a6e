"""`harden run --report`: how it ended and what it took, whole at every moment, and nothing that was not seen."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harden.model.end_report import Ending, EndReport
from tests.e2e.jobs import HARDEN, IN_PYTHON, harden
from tests.e2e.reported import App

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "userns", "overlay", "idmap")

NOBODY = 65534
AS_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", str(IN_PYTHON))


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


@pytest.fixture
def users_app() -> Iterator[App]:
    folder = Path(tempfile.mkdtemp(prefix="harden-report-", dir="/var/tmp"))
    made = App(folder)
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    yield made
    shutil.rmtree(folder)


@contextmanager
def running_app(app: App) -> Iterator[subprocess.Popen[bytes]]:
    """It has said that it runs, and goes on when its standard input ends."""
    words = [str(HARDEN), "run", "--report", "report.json"]
    with subprocess.Popen(words, cwd=app.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"say\n")
        running.stdin.flush()
        assert running.stdout.readline() == b"ready\n"
        yield running


def test_an_exit_status_is_told(app):
    done = app.run(say="end\n")
    assert (done.returncode, done.stderr) == (3, "")
    told = app.told()
    assert (told.ending, told.exit_status, told.signal, told.timed_out) == (Ending.EXITED, 3, None, False)
    assert (told.program, told.error, told.hint) == ("/bin/sh", "", "")
    usage = told.usage
    assert usage.elapsed_s is not None
    assert 0 < usage.elapsed_s < 30
    assert usage.process_memory_bytes is not None
    assert usage.process_memory_bytes > 100_000
    assert usage.cpu_user_s is not None
    assert usage.cpu_system_s is not None
    assert 0 < usage.cpu_user_s + usage.cpu_system_s < 30


@pytest.mark.requires("nobody")
def test_a_user_gets_one_too_and_is_told_what_nobody_counted(users_app):
    done = users_app.run("--trust", say="end\n", by=AS_USER)
    assert done.returncode == 3, done.stderr
    told = users_app.told()
    assert (told.ending, told.exit_status) == (Ending.EXITED, 3)
    assert told.usage.process_cpu_user_s is not None
    assert told.usage.oom_kills is None
    assert "cgroup" in told.unknown["oom_kills"]
    assert users_app.report.stat().st_uid == NOBODY


def test_a_signal_is_told(app):
    assert app.run(say="die\n").returncode == 128 + signal.SIGSEGV
    told = app.told()
    assert (told.ending, told.exit_status, told.signal) == (Ending.SIGNALED, None, signal.SIGSEGV)


def test_a_time_limit_is_told(app):
    with subprocess.Popen(
        [HARDEN, "run", "--report", "report.json", "--timeout", "2"], cwd=app.folder, stdin=subprocess.PIPE
    ) as running:
        assert running.wait(60) == 124
    told = app.told()
    assert (told.ending, told.timed_out, told.exit_status, told.signal) == (Ending.TIMED_OUT, True, None, None)
    assert told.usage.elapsed_s is not None
    assert 0.2 < told.usage.elapsed_s < 30
    assert told.usage.process_memory_bytes is None


def test_until_the_end_it_says_unfinished_and_nothing_of_the_run_before(app):
    assert app.run(say="end\n").returncode == 3
    with running_app(app) as running:
        assert app.told() == EndReport(ending=Ending.UNFINISHED)
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(60) == 0
    assert app.told().ending is Ending.EXITED
    assert not [path for path in app.folder.iterdir() if path.name.endswith(".new")]


def test_harden_that_is_killed_leaves_unfinished(app):
    with running_app(app) as running:
        running.kill()
    assert app.told() == EndReport(ending=Ending.UNFINISHED)


def test_why_nothing_was_started_is_told(app):
    done = app.run("--", "no-such-program")
    told = app.told()
    assert (done.returncode, told.ending, told.exit_status) == (127, Ending.NOT_STARTED, None)
    assert done.stderr == f"harden: {told.error}\nhint: {told.hint}\n"
    (app.folder / "script").write_text("#!/bin/sh\n")
    (app.folder / "script").chmod(0o755)
    done = app.run("--bind", str(app.folder / "script"), "--", str(app.folder / "script"))
    told = app.told()
    # The profile grants no execution of it, which harden-exec finds out.
    assert (done.returncode, told.ending) == (126, Ending.NOT_STARTED)
    assert (told.exit_status, told.signal, told.usage.process_memory_bytes) == (None, None, None)
    assert "execve" in told.error
    assert f"harden: {told.error}\nhint: {told.hint}\n" in done.stderr
    assert told.unknown["elapsed_s"] == "the program did not start"


@pytest.mark.parametrize("kind", ["profile", "link", "fifo", "folder"])
def test_only_a_report_is_replaced(app, kind):
    if kind == "profile":
        app.report = app.folder / "app.profile.toml"
    elif kind == "link":
        app.report.symlink_to("app.profile.toml")
    elif kind == "fifo":
        os.mkfifo(app.report)
    else:
        app.report.mkdir()
    before = app.report.lstat()
    content = (app.folder / "app.profile.toml").read_bytes()
    done = app.run(say="end\n")
    assert (done.returncode, done.stdout) == (125, "")
    assert "report" in done.stderr
    assert os.path.samestat(app.report.lstat(), before)
    assert (app.folder / "app.profile.toml").read_bytes() == content


def test_two_reports_in_one_file_are_refused(app):
    done = app.run("--enforced-json", "./report.json", say="end\n")
    assert (done.returncode, "both" in done.stderr) == (125, True)
    assert not app.report.exists()


def test_what_cannot_be_written_at_the_end_is_no_success(app):
    app.report = app.folder / "reports" / "report.json"
    app.report.parent.mkdir()
    for say, status in (("say\n", 125), ("end\n", 3)):
        app.report.parent.mkdir(exist_ok=True)
        with subprocess.Popen(
            [HARDEN, "run", "--report", str(app.report)],
            cwd=app.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as running:
            assert running.stdin is not None
            assert running.stderr is not None
            while not app.report.exists():
                assert running.poll() is None
            # Until it stands in the folder's place: harden opens that folder after it made the report.
            while not any(
                os.path.samestat(os.stat(f"/proc/{running.pid}/fd/{name}"), app.report.parent.stat())
                for name in os.listdir(f"/proc/{running.pid}/fd")
            ):
                assert running.poll() is None
            shutil.rmtree(app.report.parent)
            running.stdin.write(say.encode())
            running.stdin.close()
            assert running.wait(60) == status
            assert b"harden: the report report.json cannot be written: openat: ENOENT" in running.stderr.read()


def test_a_plan_that_was_kept_makes_one_too(app):
    for _ in range(3):
        assert harden("run", cwd=app.folder).returncode == 0
    for _ in range(3):
        assert app.run(say="end\n").returncode == 3
        assert app.told().exit_status == 3
        app.report.unlink()


def test_the_program_cannot_forge_it(tmp_path):
    script = (
        "import os\n"
        "open('scratch', 'w').close(); os.unlink('scratch')\n"
        'for attack in (\'open("report.json", "w")\', \'os.unlink("report.json")\','
        ' \'os.rename("twin", "report.json")\'):\n'
        "    open('twin', 'w').write('{}')\n"
        "    try:\n"
        "        exec(attack); print('forged')\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
        "    try:\n"
        "        exec(attack.replace('report.json', 'other')); print('works')\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
    )
    (tmp_path / "script.py").write_text(script)
    app = App(tmp_path, "/usr/bin/python3", "-I", "script.py")
    (tmp_path / "other").unlink(missing_ok=True)
    done = app.run()
    assert done.stdout.splitlines() == [
        "Read-only file system",
        "works",
        "Device or resource busy",
        "works",
        "Device or resource busy",
        "works",
    ]
    assert app.told().ending is Ending.EXITED


@pytest.mark.parametrize("option", ["--report", "--enforced-json"])
def test_a_folder_that_the_program_can_exchange_is_refused(app, option):
    """A covered file cannot be renamed, its folder can: then something else would be at the path."""
    inner = app.folder / "data" / "inner"
    inner.mkdir(parents=True)
    bind = ("--bind", f"{app.folder}/data:/data:rw")
    done = harden("run", option, f"{inner}/out.json", *bind, cwd=app.folder, check=False)
    assert done.returncode == 125
    assert "through which" in done.stderr
    assert harden("run", option, f"{app.folder}/data/out.json", *bind, cwd=app.folder).returncode == 0
