"""A program that may write into the folder of its own profile still cannot change what it is allowed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

SCRIPT = """
import os, sys
def attempt(what):
    try:
        what()
        print("done")
    except OSError as error:
        print(error.strerror)
def write(path):
    with open(path, "w") as file: file.write("x")
write("scratch"); os.rename("scratch", "result"); os.unlink("result")
if os.path.exists("app.profile.toml"):
    attempt(lambda: write("app.profile.toml"))
    attempt(lambda: os.unlink("app.profile.toml"))
    attempt(lambda: os.rename("app.profile.toml", "away"))
    attempt(lambda: write("app.local.toml"))
    attempt(lambda: os.unlink("app.local.toml"))
attempt(lambda: write("ordinary"))
os.unlink("ordinary")
"""


def test_profile_and_local_file_cannot_be_changed_from_inside(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = ("/usr/bin/python3", "-I", "script.py")
    harden("trace", "--name", "app", "--", *command, cwd=tmp_path)
    before = (tmp_path / "app.profile.toml").read_bytes()
    done = harden("run", cwd=tmp_path)
    attempts = done.stdout.splitlines()
    assert "done" not in attempts[:-1]
    assert len(attempts) == 6
    # The positive twin: any other name in the same folder can be written.
    assert attempts[-1] == "done"
    assert (tmp_path / "app.profile.toml").read_bytes() == before
    assert "format" in (tmp_path / "app.local.toml").read_text()
    assert harden("run", cwd=tmp_path).stdout == done.stdout


def test_recording_cannot_be_planted(tmp_path: Path) -> None:
    """Recordings are often not committed: where there is none, the program must not make one that is merged later."""
    (tmp_path / "script.py").write_text(
        "import os\n"
        "for name in ('app.recording.json', 'plain.json'):\n"
        "    try:\n"
        "        open(name, 'w').close(); os.unlink(name); print(name, 'made')\n"
        "    except OSError as error:\n"
        "        print(name, error.strerror)\n"
    )
    harden("trace", "--name", "app", "--", "/usr/bin/python3", "-I", "script.py", cwd=tmp_path)
    (tmp_path / "app.recording.json").unlink()
    attempts = harden("run", cwd=tmp_path).stdout.splitlines()
    assert attempts[1] == "plain.json made"
    assert attempts[0] != "app.recording.json made"
    assert (tmp_path / "app.recording.json").read_bytes() == b""
    # The placeholder counts as no recording.
    harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path)


def test_recording_of_another_user_is_not_merged(tmp_path: Path) -> None:
    harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path)
    os.chown(tmp_path / "app.recording.json", 12345, 12345)
    done = harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "12345" in done.stderr


def test_profile_that_the_program_itself_opens_is_read_only(tmp_path: Path) -> None:
    """The traced program wrote to an existing profile: the right is in the profile, and still does not reach it."""
    (tmp_path / "pp").mkdir()
    (tmp_path / "script.py").write_text(
        "import os, sys\n"
        "for name in ('pp/c.profile.toml', 'pp/other'):\n"
        "    try:\n"
        "        os.close(os.open(name, os.O_WRONLY)); print(name, 'opened')\n"
        "    except OSError as error:\n"
        "        print(name, error.strerror)\n"
    )
    (tmp_path / "pp/other").write_text("")
    command = ("--out", "pp", "--name", "c", "--", "/usr/bin/python3", "-I", "script.py")
    for _ in range(2):
        harden("trace", *command, cwd=tmp_path)
    attempts = harden("run", "-p", "pp/c.profile.toml", cwd=tmp_path).stdout.splitlines()
    assert attempts == ["pp/c.profile.toml Read-only file system", "pp/other opened"]


def test_trace_refuses_a_writable_bind_of_the_profile_folder(tmp_path: Path) -> None:
    done = harden("trace", "--bind", f"{tmp_path}:/data:rw", "--", "/bin/true", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "--out" in done.stderr
    (tmp_path / "out").mkdir()
    (tmp_path / "data").mkdir()
    harden("trace", "--bind", f"{tmp_path}/data:/data:rw", "--out", "out", "--", "/bin/true", cwd=tmp_path)


def test_report_cannot_be_forged(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import os\n"
        "open('scratch', 'w').close(); os.unlink('scratch')\n"
        "if os.path.exists('enforced.json'):\n"
        "    try:\n"
        "        os.open('enforced.json', os.O_WRONLY); print('forged')\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
    )
    harden("trace", "--name", "app", "--", "/usr/bin/python3", "-I", "script.py", cwd=tmp_path)
    assert harden("run", "--enforced-json", "enforced.json", cwd=tmp_path).stdout == "Read-only file system\n"


def test_controls_that_are_switched_off_are_said(tmp_path: Path) -> None:
    harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path)
    (tmp_path / "app.local.toml").write_text('format = "harden-local/1"\n[controls]\nlandlock = "off"\n')
    done = harden("run", "--enforced-json", "enforced.json", cwd=tmp_path)
    assert "landlock is NOT_ENFORCED: switched off" in done.stderr
    enforced = json.loads((tmp_path / "enforced.json").read_text())
    states = {control["control"]: control["enforcement"] for control in enforced["controls"]}
    assert enforced["result"] == "PARTIALLY_ENFORCED"
    assert states["landlock"] == "NOT_ENFORCED"
    assert states["seccomp"] == "FULLY_ENFORCED"


def test_another_program_in_the_place_of_the_recorded_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(Path("/bin/true").read_bytes())
    (tmp_path / "app").chmod(0o755)
    harden("trace", "--", "./app", cwd=tmp_path)
    assert "not the file that was recorded" not in harden("run", cwd=tmp_path).stderr
    with (tmp_path / "app").open("ab") as file:
        file.write(b"more")
    assert "not the file that was recorded" in harden("run", cwd=tmp_path).stderr
