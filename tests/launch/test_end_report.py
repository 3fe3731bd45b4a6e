"""The report that harden-exec writes: its numbers are those of the cgroup's files, and its place is checked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harden.kernel.executable import HARDEN_EXEC, sealed_memfd
from harden.launch.encode import Header, encode
from harden.model.document import parse_json
from harden.model.end_report import REPORT_FORMAT, Ending, EndReport, EndUsage
from tests.launch.plans import small_plan

pytestmark = pytest.mark.requires("root", "userns", "landlock", "seccomp")

FILES = {
    "cpu.stat": "usage_usec 3000007\nuser_usec 2000006\nsystem_usec 1000001\nnr_periods 0\nthrottled_usec 50\n",
    "memory.peak": "536870912\n",
    "memory.swap.peak": "0\n",
    "memory.events": "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n",
    "pids.peak": "8\n",
    "pids.events": "max 4\n",
}
WAITED = ("cpu_user_s", "cpu_system_s", "memory_bytes")


def started(header: Header) -> subprocess.CompletedProcess[str]:
    descriptors = [fd for fd in (header.report_fd, header.cgroup_fd) if fd >= 0]
    memfd = sealed_memfd("plan", encode(small_plan().ops, header))
    try:
        command = [str(HARDEN_EXEC), str(memfd)]
        return subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=(memfd, *descriptors))
    finally:
        os.close(memfd)


def told(tmp_path: Path, files: dict[str, str], unknown: bytes = b"") -> tuple[EndReport, str]:
    """With a folder of files in place of a cgroup, into which nothing can be born: so the program does not start."""
    (tmp_path / "payload").mkdir(parents=True)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    cgroup, folder = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (tmp_path / "payload", tmp_path))
    try:
        header = Header(cgroup_fd=cgroup, report_fd=folder, report_name=b"report", report_unknown=unknown)
        ended = started(header)
    finally:
        os.close(cgroup)
        os.close(folder)
    assert ended.returncode == 125
    data = (tmp_path / "report").read_bytes()
    return parse_json(data, EndReport, format=REPORT_FORMAT, file="report"), ended.stderr


def test_the_numbers_are_those_of_the_files(tmp_path):
    found, said = told(tmp_path, FILES)
    assert found.usage == EndUsage(
        cpu_user_s=2.000006,
        cpu_system_s=1.000001,
        cpu_throttled_s=0.00005,
        memory_peak_bytes=536870912,
        swap_peak_bytes=0,
        memory_high_events=3,
        oom_events=2,
        oom_kills=1,
        pids_peak=7,
        forks_refused=4,
    )
    assert found.unknown.keys() == {"elapsed_s", *(f"process_{what}" for what in WAITED)}
    assert (found.ending, found.exit_status, found.signal) == (Ending.NOT_STARTED, None, None)
    assert "clone3: EBADF" in found.error
    assert f"harden: {found.error}\n" in said
    assert "memory: the kernel killed 1 of its processes: the memory limit was reached\n" in said
    assert "pids: 4 processes or threads were refused: the pids limit was reached\n" in said


def test_what_is_not_there_is_unknown_for_the_planned_reason_or_its_error(tmp_path):
    files = {"cpu.stat": "user_usec 1\nsystem_usec x\n", "pids.peak": "max\n", "memory.events": "oom_killer 5\n"}
    found, said = told(tmp_path, files, b"memory because of this\ncpu no limit was given: --cpus")
    assert found.usage == EndUsage(cpu_user_s=0.000001)
    assert found.unknown["cpu_system_s"] == "cpu.stat has no system_usec"
    assert found.unknown["cpu_throttled_s"] == "no limit was given: --cpus"
    assert found.unknown["oom_kills"] == found.unknown["memory_peak_bytes"] == "because of this"
    assert found.unknown["pids_peak"] == "pids.peak has no number"
    assert found.unknown["forks_refused"] == "pids.events: ENOENT"
    assert "killed" not in said


@pytest.mark.parametrize(
    ("events", "reason"), [(0, "the host, or a cgroup above, was out of memory"), (1, "the memory")]
)
def test_a_kill_is_the_limits_only_where_the_limit_was_reached(tmp_path, events, reason):
    said = told(tmp_path, {"memory.events": f"oom {events}\noom_kill 2\n"})[1]
    assert f"memory: the kernel killed 2 of its processes: {reason}" in said


@pytest.mark.parametrize("name", [b"../report", b"..", b".", b"a/b", b"n" * 201, b""])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ended = started(Header(report_fd=folder, report_name=name))
    finally:
        os.close(folder)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert "the name of its report is not a plain name" in ended.stderr
    assert "it names a report and has no place for it" in started(Header(report_name=b"report")).stderr


def test_the_longest_reasons_fit_into_it(tmp_path):
    found, _ = told(tmp_path, {}, b"cgroup " + b"\x01" * 4000)
    assert found.unknown["oom_kills"] == "\x01" * 160


def test_other_alphabets_stay_what_they_are(tmp_path):
    found, _ = told(tmp_path, {}, 'cgroup weil es "Grün" \\ ist \N{SNOWMAN}'.encode() + b"\xff")
    assert found.unknown["oom_kills"] == 'weil es "Grün" \\ ist \N{SNOWMAN}\xff'
