"""Wrong input and poor hosts: one line that names the problem, the right status, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Victim
from tests.e2e.jobs import HARDEN, IN_PYTHON, environment, harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith(("harden:", "hint:"))]


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """A folder with true.profile.toml."""
    harden("trace", "--", "/bin/true", cwd=tmp_path)
    return tmp_path


def test_names_of_variables_can_be_any_bytes(tmp_path: Path) -> None:
    script = "import os; print(sorted(os.environb.items())[-1:])"
    odd = {**{os.fsencode(name): os.fsencode(value) for name, value in environment().items()}, b"z\xff\n": b"\xfe"}
    for command in (["trace", "--name", "odd", "--", "/usr/bin/python3", "-c", script], ["run"]):
        done = subprocess.run([HARDEN, *command], cwd=tmp_path, env=odd, capture_output=True, text=True, check=True)
        assert done.stdout == "[(b'z\\xff\\n', b'\\xfe')]\n"


def test_a_masked_place_is_kept_masked_and_not_mounted(tmp_path: Path) -> None:
    harden("trace", "--name", "app", "--tmpfs", "/scratch", "--redact", "cratc", "--", "/bin/true", cwd=tmp_path)
    assert "cratc" not in (tmp_path / "app.profile.toml").read_text()
    refused = harden("run", cwd=tmp_path, check=False).stderr
    assert "the stored option --tmpfs /s[masked]h was masked when it was recorded" in refused


def test_a_place_for_what_is_in_force_that_cannot_be_written_is_named(traced: Path) -> None:
    (traced / "link").symlink_to("elsewhere")
    for wrong, errno in (("none/file", "ENOENT"), ("link", "ELOOP"), (".", "EISDIR")):
        done = harden("run", "--enforced-json", wrong, cwd=traced, check=False)
        first, hint = lines_of(done)
        assert (done.returncode, done.stdout) == (125, "")
        assert (first.startswith(f"harden: open('{wrong}', "), errno in first, hint[:5]) == (True, True, "hint:")


@pytest.mark.parametrize("name", [b"\xff", b"x" * 65, "ä".encode() * 33])
def test_what_is_no_host_name_is_refused(traced: Path, name: bytes) -> None:
    for command in (("run",), ("trace", "--force", "--", "/bin/true")):
        asked = [HARDEN, command[0], "--hostname", name, *command[1:]]
        done = subprocess.run(asked, cwd=traced, env=environment(), capture_output=True, text=True, check=False)
        first, hint = lines_of(done)[-2:]
        assert done.returncode == 125
        assert (first.startswith("harden: the host name '"), hint) == (True, "hint: such as --hostname box")
        assert "1 to 64 bytes of UTF-8" in first


def test_a_host_name_of_64_bytes_is_one(tmp_path: Path) -> None:
    done = harden("trace", "--hostname", "ä" * 32, "--", "/bin/uname", "-n", cwd=tmp_path)
    assert done.stdout == "ä" * 32 + "\n"


def test_program_not_found_is_127(tmp_path: Path) -> None:
    done = harden("trace", "--", "no-such-program-here", cwd=tmp_path, check=False)
    assert done.returncode == 127
    assert "no-such-program-here" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_program_not_executable_is_126(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("text\n")
    assert harden("trace", "--", "./notes", cwd=tmp_path, check=False).returncode == 126
    (tmp_path / "notes").chmod(0o755)
    # A file without #! is not a program either: the kernel says ENOEXEC.
    assert harden("trace", "--", "./notes", cwd=tmp_path, check=False).returncode == 126
    (tmp_path / "notes").write_text("#!/bin/sh\nexit 3\n")
    assert harden("trace", "--", "./notes", cwd=tmp_path, check=False).returncode == 3


def test_crash_keeps_a_good_profile(tmp_path: Path, victim: Victim) -> None:
    harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path)
    good = (tmp_path / "app.profile.toml").read_bytes(), (tmp_path / "app.recording.json").read_bytes()
    crashed = harden("trace", "--name", "app", "--", str(victim("crash")), cwd=tmp_path, check=False)
    assert crashed.returncode == 128 + signal.SIGSEGV
    assert "SIGSEGV" in crashed.stderr
    assert "--force" in crashed.stderr
    assert good == ((tmp_path / "app.profile.toml").read_bytes(), (tmp_path / "app.recording.json").read_bytes())
    forced = harden("trace", "--name", "app", "--force", "--", str(victim("crash")), cwd=tmp_path, check=False)
    assert forced.returncode == 128 + signal.SIGSEGV
    assert (tmp_path / "app.profile.toml").read_bytes() != good[0]


def test_timeout_is_124_and_keeps_a_good_profile(tmp_path: Path) -> None:
    harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path)
    good = (tmp_path / "app.profile.toml").read_bytes()
    done = harden("trace", "--name", "app", "--timeout", "2", "--", "/bin/sleep", "60", cwd=tmp_path, check=False)
    assert done.returncode == 124
    assert (tmp_path / "app.profile.toml").read_bytes() == good


def test_second_trace_merges_and_leaves_the_local_file_alone(tmp_path: Path) -> None:
    harden("trace", "--name", "app", "--", "/bin/true", cwd=tmp_path)
    local = tmp_path / "app.local.toml"
    local.write_text('format = "harden-local/1"\n[add]\nsyscalls = ["getppid"]\n')
    harden("trace", "--name", "app", "--", "/bin/ls", cwd=tmp_path)
    recording = json.loads((tmp_path / "app.recording.json").read_bytes())
    assert sorted(run["workload"]["program"] for run in recording["runs"]) == ["/bin/ls", "/bin/true"]
    assert local.read_text() == 'format = "harden-local/1"\n[add]\nsyscalls = ["getppid"]\n'


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        ('format = "harden-profile/1"', 'format = "harden-profile/2"', "newer"),
        ('format = "harden-profile/1"', 'format = "harden-policy/1"', "expected 'harden-profile/1'"),
        ("[rights]\n", "[rights]\nunheard = 1\n", "$.rights"),
        ("cwd = ", "cwd = 7 # ", "$.workload.cwd"),
        ("[rights]\n", "[rights]\n[rights]\n", "not TOML"),
        ('"exit_group"', '"exit_grop"', "exit_grop"),
    ],
)
def test_tampered_profile_is_refused(traced: Path, find: str, replace: str, said: str) -> None:
    profile = traced / "true.profile.toml"
    text = profile.read_text()
    assert find in text
    profile.write_text(text.replace(find, replace, 1))
    done = harden("run", cwd=traced, check=False)
    assert done.returncode == 125
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in lines_of(done) if line.startswith("harden:")]) == 1


def test_profile_that_others_can_write_is_refused_until_trusted(traced: Path) -> None:
    profile = traced / "true.profile.toml"
    profile.chmod(0o666)
    done = harden("run", cwd=traced, check=False)
    assert done.returncode == 125
    assert "written by others" in done.stderr
    assert harden("run", "--trust", cwd=traced).returncode == 0
    profile.chmod(0o644)
    assert harden("run", cwd=traced).returncode == 0


def test_profile_of_another_user_is_refused(traced: Path) -> None:
    os.chown(traced / "true.profile.toml", 12345, 12345)
    done = harden("run", cwd=traced, check=False)
    assert done.returncode == 125
    assert "12345" in done.stderr


def test_no_profile_and_two_profiles(traced: Path) -> None:
    (traced / "other.profile.toml").write_bytes((traced / "true.profile.toml").read_bytes())
    assert harden("run", cwd=traced, check=False).returncode == 125
    assert harden("run", "-p", "other.profile.toml", cwd=traced).returncode == 0
    empty = traced / "empty"
    empty.mkdir()
    assert "harden trace" in harden("run", cwd=empty, check=False).stderr


def test_broken_recording_is_not_overwritten(traced: Path) -> None:
    recording = traced / "true.recording.json"
    recording.write_text(recording.read_text().replace('"runs"', '"ruins"', 1))
    broken = recording.read_bytes()
    done = harden("trace", "--", "/bin/true", cwd=traced, check=False)
    assert done.returncode == 125
    assert "ruins" in done.stderr
    assert recording.read_bytes() == broken


def test_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    script = """
        mount -t tmpfs -o size=1m none "$1" && cd "$1" &&
        "$0" trace --name app -- /bin/true || exit 1
        cksum app.profile.toml app.recording.json > "$2/before"
        dd if=/dev/zero of=fill bs=1024 2>/dev/null
        "$0" trace --name app -- /bin/ls / 2>"$2/stderr"; echo $? > "$2/status"
        cksum app.profile.toml app.recording.json > "$2/after"; ls -A > "$2/names"
    """
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(
        ["unshare", "-m", "sh", "-c", script, str(HARDEN), str(mount), str(tmp_path)],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=100,
    )
    assert (tmp_path / "status").read_text() == "125\n"
    assert "ENOSPC" in (tmp_path / "stderr").read_text()
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()
    assert (tmp_path / "names").read_text().split() == ["app.profile.toml", "app.recording.json", "fill"]


def test_interrupt_keeps_what_was_recorded_and_marks_it(tmp_path: Path, victim: Victim) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\necho started\nexec sleep 60\n")
    (tmp_path / "go").chmod(0o755)
    tracer = subprocess.Popen(
        [str(HARDEN), "trace", "--name", "app", "--", "./go"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stdout
    assert tracer.stdout.readline() == "started\n"
    tracer.send_signal(signal.SIGINT)
    _, err = tracer.communicate(timeout=60)
    assert tracer.returncode == 128 + signal.SIGINT, err
    run = json.loads((tmp_path / "app.recording.json").read_bytes())["runs"][0]
    assert run["status"]["interrupted"]
    assert [gap["kind"] for gap in run["gaps"]] == ["interrupted"]
    assert "write" in {seen["name"] for seen in run["syscalls"]}
    assert (tmp_path / "app.profile.toml").exists()


def test_unknown_words_on_the_command_line(tmp_path: Path) -> None:
    for arguments, said in (
        (("trace", "--allow-degraded", "magic", "--", "true"), "magic"),
        (("trace", "--cap-add", "CAP_FLY", "--", "true"), "CAP_FLY"),
        (("trace", "--bind", "::", "--", "true"), "--bind"),
        (("trace", "--no-such-option", "--", "true"), "--no-such-option"),
        (("nonsense",), "nonsense"),
        (("trace",), "no program"),
    ):
        done = harden(*arguments, cwd=tmp_path, check=False)
        assert done.returncode == 125, arguments
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def as_nobody(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", *command],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_tracing_as_a_user_names_the_missing_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    done = as_nobody(str(IN_PYTHON), "trace", "--backend=bpf", "--", "/bin/true", cwd=Path("/"))
    assert done.returncode == 125
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    assert "root" in done.stderr


def test_what_still_runs_at_the_end_makes_the_recording_incomplete(tmp_path: Path) -> None:
    left = ("/bin/sh", "-c", "sleep 60 & exit 0")
    done = harden("trace", "--name", "app", "--", *left, cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "still running" in done.stderr
    assert harden("trace", "--name", "app", "--allow-incomplete", "--", *left, cwd=tmp_path).returncode == 0
    # The positive twin: what is waited for is whole.
    harden("trace", "--name", "waits", "--", "/bin/sh", "-c", "sleep 0 & wait", cwd=tmp_path)
