"""Programs and the names that lead to them: in memory, scripts of scripts, links, and processes that stay behind."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from harden.model.file_operation import CAN_HAVE_WORKED
from harden.model.need import file_needs
from harden.model.recording import Completeness, FileOperation, GapKind, Resolution, Run
from harden.trace import Recorder
from tests.kernel.recorded import as_seen_by, cgroup, empty, gated, operations, record_by_notify, run_of

Op = FileOperation
pytestmark = pytest.mark.requires("root", "gcc", "x86_64")

IN_MEMORY = """
import os
memory = os.memfd_create("tool", os.MFD_CLOEXEC)
os.write(memory, open("/bin/true", "rb").read())
os.execve(memory, ["tool"], {})
"""
AT_A_PATH = "import os; os.execve(os.open('/bin/true', os.O_RDONLY), ['tool'], {})"


def gaps(run: Run) -> set[GapKind]:
    return {gap.kind for gap in run.gaps}


def test_a_program_in_memory_has_a_name_and_no_path(recorded):
    run = recorded("/usr/bin/python3", "-c", IN_MEMORY)
    assert "memfd:tool" in {program.path for program in run.executables}
    assert gaps(run) == {GapKind.ANONYMOUS_PROGRAM}
    assert run.completeness is Completeness.OPAQUE
    on_root = {seen.operation for seen in run.files if seen.path == "/"}
    assert not on_root & {Op.EXEC, Op.MAP, Op.READ}
    assert not file_needs(run).get(b"/", set()) & {Op.EXEC, Op.MAP, Op.READ}


def test_a_program_given_by_a_descriptor_has_its_path(recorded):
    run = recorded("/usr/bin/python3", "-c", AT_A_PATH)
    assert str(Path("/bin/true").resolve()) in {program.path for program in run.executables}
    assert not any(seen.path.startswith("/dev/fd") for seen in run.files)
    assert run.gaps == ()


def script_in(folder: Path) -> Path:
    script = folder / "script"
    script.write_text("#!/bin/sh\nexit 4\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("how", ["empty", "below", "name"])
def test_a_script_given_by_a_descriptor_has_its_path(recorded, victim, tmp_path, how):
    script = script_in(tmp_path)
    run = recorded(victim("by_descriptor"), script, how, cwd=tmp_path, expect=4)
    assert str(script) in {program.path for program in run.executables}
    assert file_needs(run)[bytes(script)] >= {Op.READ, Op.EXEC}
    assert not any(seen.operation is Op.EXEC and seen.path.startswith(("/dev/", "/proc/")) for seen in run.files)
    assert run.gaps == ()


def test_each_script_that_one_descriptor_was_has_its_path(recorded, victim, tmp_path):
    first = script_in(tmp_path)
    second = first.rename(tmp_path / "second")
    first = script_in(tmp_path)
    # The checkout may lie below /var/tmp, of which a sandbox has its own.
    program = shutil.copy(victim("by_descriptor"), tmp_path)
    run = recorded("/bin/sh", "-c", f"{program} {first} empty; {program} {second} empty", cwd=tmp_path, expect=4)
    assert {str(first), str(second)} <= {program.path for program in run.executables}
    assert all(Op.EXEC in file_needs(run)[bytes(script)] for script in (first, second))


SCRIPT_IN_MEMORY = """
import os
memory = os.memfd_create("tool", 0)
os.write(memory, b"#!/bin/sh\\n")
os.execve(memory, ["tool"], {})
"""


def test_a_script_in_memory_has_no_path(recorded):
    run = recorded("/usr/bin/python3", "-c", SCRIPT_IN_MEMORY)
    assert gaps(run) == {GapKind.ANONYMOUS_PROGRAM}
    assert run.completeness is Completeness.OPAQUE


def left_behind(script: str) -> Run:
    """`script`, and then what stays of it is killed."""
    with (
        cgroup() as folder,
        gated(folder, "/bin/sh", "-c", script) as process,
        Recorder.attach(folder.stat().st_ino) as recorder,
    ):
        process.open()
        assert process.wait() == 0
        empty(folder)
        return run_of(recorder.stop())


@pytest.mark.requires("bpf", "cgroup2")
def test_processes_that_outlive_the_program_make_it_incomplete():
    run = left_behind("/bin/sleep 600 & /bin/sleep 600 & :")
    (gap,) = run.gaps
    assert (gap.kind, gap.count) == (GapKind.STILL_RUNNING, 2)
    assert gap.detail.startswith("2 processes were still running when the program ended")
    assert run.completeness is Completeness.INCOMPLETE


@pytest.mark.requires("bpf", "cgroup2")
def test_a_process_that_the_program_kills_itself_is_complete():
    assert left_behind(f"/bin/sleep 600 & kill -{signal.SIGKILL} $!; wait $! || :").gaps == ()


def linked(folder: Path) -> Path:
    """first -> second -> below/third -> ../real/file"""
    (folder / "real").mkdir()
    (folder / "real/file").write_text("content\n")
    (folder / "below").mkdir()
    (folder / "below/third").symlink_to("../real/file")
    (folder / "second").symlink_to(folder / "below/third")
    (folder / "first").symlink_to("second")
    return folder


@pytest.mark.parametrize("name", ["first", "below/third"])
def test_the_name_that_led_to_an_opened_file_is_looked_at(recorded, tmp_path, name):
    found = operations(recorded("/bin/cat", name, name, cwd=linked(tmp_path)), tmp_path)
    done, resolved = ("ok", Resolution.OBJECT) if recorded.backend == "bpf" else ("unknown", Resolution.LOOKED_UP)
    assert found["real/file", Op.READ, done].resolution is resolved
    seen = found[name, Op.STAT, done]
    assert (seen.resolution, seen.count) == (Resolution.LEXICAL, 2)


def test_a_name_without_links_says_nothing_more(recorded, tmp_path):
    found = operations(recorded("/bin/cat", "real/file", cwd=linked(tmp_path)), tmp_path)
    assert not any(path == "real/file" and seen.resolution is Resolution.LEXICAL for (path, *_), seen in found.items())


def test_the_link_to_a_program_and_to_a_folder_is_looked_at(recorded, tmp_path):
    (tmp_path / "tool").symlink_to("/bin/true")
    (tmp_path / "folder").symlink_to("/etc")
    run = recorded("/bin/sh", "-c", f"cd {tmp_path}/folder; {tmp_path}/tool", cwd=tmp_path)
    found = operations(run, tmp_path)
    links = {("tool", Op.STAT, "ok"), ("folder", Op.STAT, "ok")}
    assert as_seen_by(recorded.backend, links) <= found.keys()


def test_a_script_whose_interpreter_is_a_script(recorded, tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("#!/bin/sh\n:\n")
    outer.write_text(f"#! {inner} argument\n")
    for script in (inner, outer):
        script.chmod(0o755)
    run = recorded(outer, cwd=tmp_path)
    found = operations(run, tmp_path)
    assert {("outer", Op.EXEC, "ok"), ("inner", Op.EXEC, "ok"), ("inner", Op.READ, "ok")} <= found.keys()
    assert {str(inner), str(outer)} <= {program.path for program in run.executables}
    assert Op.EXEC in file_needs(run)[bytes(inner)]


def test_where_mounts_go_is_looked_at(recorded, tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    run = recorded(
        "/usr/bin/unshare",
        "--mount",
        "/bin/sh",
        "-c",
        f"mount --make-rprivate /; mount --bind {tmp_path}/from {tmp_path}/to; umount {tmp_path}/to",
        cwd=tmp_path,
    )
    seen = {
        (file.path, file.syscall) for file in run.files if file.operation is Op.STAT and file.result in CAN_HAVE_WORKED
    }
    assert (str(tmp_path / "to"), "umount2") in seen
    assert {call for path, call in seen if path == str(tmp_path / "to")} & {"mount", "move_mount"}
    assert {call for path, call in seen if path == str(tmp_path / "from")} & {"mount", "open_tree"}


@pytest.mark.requires("seccomp-notify", "overlay", "idmap")
@pytest.mark.parametrize(
    ("script", "left"),
    [("/bin/sleep 600 & /bin/sleep 600 & :", 2), ("/bin/sleep 600 & kill -9 $!; wait $! || :", 0), ("kill -9 $$", 0)],
)
def test_processes_that_outlive_the_program_are_counted_without_bpf(script, left):
    run = record_by_notify("/bin/sh", "-c", script, expect=None if "$$" in script else 0)
    assert [(gap.kind, gap.count) for gap in run.gaps] == ([(GapKind.STILL_RUNNING, left)] if left else [])


KILLED_LAST = """
import os, subprocess
children = [subprocess.Popen(COMMAND, stdout=subprocess.PIPE) for _ in range(20)]
for child in children:
    child.stdout.readline()
for child in children:
    child.SIGNAL()
os._exit(0)
"""


@pytest.mark.requires("seccomp-notify", "overlay", "idmap", "python3")
@pytest.mark.parametrize("signal_by", ["kill", "terminate"])
@pytest.mark.parametrize(("script", "left"), [("echo; exec sleep 600", 0), ("sleep 600 & echo; wait", 20)])
def test_what_the_program_kills_as_its_last_act_is_over_and_its_children_are_not(script, left, signal_by):
    """Nobody waits for what was killed; the child of one that was is then somebody else's."""
    code = KILLED_LAST.replace("COMMAND", repr(["/bin/sh", "-c", script])).replace("SIGNAL", signal_by)
    run = record_by_notify("/usr/bin/python3", "-c", code)
    assert [(gap.kind, gap.count) for gap in run.gaps] == ([(GapKind.STILL_RUNNING, left)] if left else [])


@pytest.mark.requires("gcc", "seccomp-notify", "overlay", "idmap")
def test_a_program_that_its_last_thread_ends_is_over_then(victim, tmp_path):
    run = record_by_notify(victim("births"), "last-thread", tmp_path, cwd=tmp_path)
    assert [(gap.kind, gap.count) for gap in run.gaps] == [(GapKind.STILL_RUNNING, 1)]


@pytest.mark.requires("gcc", "seccomp-notify", "overlay", "idmap")
def test_a_process_whose_first_thread_has_ended_still_runs(victim, tmp_path):
    run = record_by_notify(victim("births"), "headless", tmp_path, cwd=tmp_path)
    assert [(gap.kind, gap.count) for gap in run.gaps] == [(GapKind.STILL_RUNNING, 1)]
