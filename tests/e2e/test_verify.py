"""A workload that does one more thing under its profile than when it was recorded is caught doing it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.jobs import HARDEN, environment, harden
from tests.e2e.wishes import Wishes
from tests.feature_probes import SYS_BPF

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

GETPPID = "call 110"
BASE = ("call 39", "stat /etc/hostname", "read wishes")


@pytest.fixture
def wishes(tmp_path: Path) -> Wishes:
    return Wishes(tmp_path)


def only(found: dict[str, Any]) -> dict[str, Any]:
    assert len(found["denials"]) == 1, found
    denial: dict[str, Any] = found["denials"][0]
    return denial


def test_the_recorded_workload_verifies_clean(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    status, found = wishes.verify()
    assert (status, found["verdict"], found["denials"], found["failure"]) == (0, "clean", [], "")
    assert found["enforced"] == "FULLY_ENFORCED"
    kept = json.loads((wishes.folder / "app.verified.json").read_text())
    assert (kept["verdict"], kept["digest"]) == ("clean", found["digest"])


def test_a_control_that_is_only_preferred_and_not_there_is_partial(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.local.write_text(
        'format = "harden-local/1"\n[controls]\nselinux = "preferred"\napparmor = "off"\nmemory = "off"\npids = "off"\n'
    )
    status, found = wishes.verify()
    assert (status, found["verdict"], found["denials"]) == (3, "partial", [])
    assert found["not_enforced"][0].startswith("selinux")


def without_bpf(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As in a container whose filter refuses bpf(2)."""
    code = f"""
import errno, os, sys
from tests.outer_filter import refuse
refuse([{SYS_BPF}], errno.EPERM)
os.execv(sys.argv[1], sys.argv[1:])
"""
    command = [sys.executable, "-c", code, str(HARDEN), *arguments]
    variables = {**environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [("verify",), ("refine", "--yes")])
def test_without_bpf_nothing_is_proven_and_it_says_why(wishes: Wishes, words: tuple[str, ...]) -> None:
    wishes.trace(*BASE)
    done = without_bpf(wishes.folder, *words, "-p", "app.profile.toml")
    assert done.returncode == 125
    assert "only the BPF recorder sees what is refused, and it does not run here: bpf: load: " in done.stderr
    assert "user notification, which trace falls back to, cannot see how a call ends" in done.stderr
    assert not (wishes.folder / "app.verified.json").exists()
    assert "stat /etc/hostname: ok" not in done.stderr, "the program was started all the same"


def test_without_bpf_run_enforces_and_minimize_works_and_doctor_says_what_is_lost(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    done = without_bpf(wishes.folder, "run", "-p", "app.profile.toml")
    assert (done.returncode, "stat /etc/hostname: ok" in done.stdout) == (0, True)
    done = without_bpf(wishes.folder, "verify", "-p", "app.profile.toml", "--minimize", "syscalls", "--budget", "3")
    assert done.returncode == 0, done.stderr
    found = json.loads(without_bpf(wishes.folder, "doctor", "--json").stdout)
    (recorder,) = (each for each in found if each["feature"] == "bpf-recorder")
    assert not recorder["works"]
    assert "harden verify and refine, which cannot do without them, refuse" in recorder["lost"]


@pytest.mark.requires("x86_64")
def test_a_new_call(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, GETPPID, GETPPID)
    status, found = wishes.verify()
    denial = only(found)
    assert status == 1
    assert (denial["control"], denial["call"], denial["result"], denial["count"]) == ("seccomp", "getppid", "EPERM", 2)
    assert denial["recorded"] is False
    assert denial["executable"].endswith("/wish")
    assert denial["rule"] == ['add.syscalls = ["getppid"]']
    assert denial["source"] == "errno"


def test_a_call_that_no_kernel_knows_is_answered_as_such(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "call 500")
    _, found = wishes.verify()
    assert (only(found)["call"], only(found)["result"]) == ("syscall_500", "ENOSYS")


def test_new_arguments_of_a_granted_call(wishes: Wishes) -> None:
    wishes.trace(*BASE, "control 0 1")
    assert wishes.verify()[0] == 0
    wishes.wish(*BASE, "control 0 1", "control 0 1032")
    status, found = wishes.verify()
    assert (status, only(found)["arguments"]) == (1, ["F_GETPIPE_SZ"])
    assert only(found)["rule"] == ['add.arguments.fcntl = [["F_GETPIPE_SZ"]]']


@pytest.mark.requires("x86_64")
def test_a_killed_process(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "compat")
    status, found = wishes.verify()
    denial = only(found)
    assert (status, found["signal"]) == (1, signal.SIGSYS)
    assert (denial["control"], denial["arch"], denial["call"], denial["result"]) == (
        "seccomp",
        "i386",
        "getpid",
        "SIGSYS",
    )
    assert denial["rule"] == []
    assert "SIGSYS" in found["failure"]


@pytest.mark.requires("x86_64")
def test_of_many_threads_the_one_that_was_killed_for_it_is_named(wishes: Wishes) -> None:
    wishes.trace(*BASE, "crowd 4")
    assert wishes.verify()[0] == 0
    wishes.wish(*BASE, "crowd 4", "compat")
    _, found = wishes.verify()
    assert (only(found)["arch"], only(found)["call"], only(found)["count"]) == ("i386", "getpid", 1)


def test_a_name_that_nobody_could_read_yet_is_not_lost(wishes: Wishes) -> None:
    (wishes.folder / "name").write_text("victim\0")
    wishes.trace(*BASE, "read name")
    wishes.wish(*BASE, "remove-named-in name")
    status, found = wishes.verify()
    assert (status, only(found)["call"], found["lost"]) == (1, "unlink", [])


def test_a_file_that_is_shown_but_not_granted(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "read /usr/lib/os-release", "read /etc/hostname")
    status, found = wishes.verify()
    assert status == 1
    assert [(each["control"], each["result"]) for each in found["denials"]] == [("landlock", "EACCES")] * 2
    assert {each["paths"][0] for each in found["denials"]} == {"/usr/lib/os-release", "/etc/hostname"}


def test_a_file_that_is_hidden(wishes: Wishes) -> None:
    wishes.trace(*BASE, "stat /nonexistent")
    wishes.wish(*BASE, "stat /nonexistent", "read /etc/passwd", "read /etc/not-there-either")
    status, found = wishes.verify()
    denial = only(found)
    assert (status, denial["control"], denial["result"]) == (1, "filesystem-view", "ENOENT")
    assert denial["rule"] == ['add.files."/etc/passwd" = "read"']


def test_a_new_file_in_the_working_folder(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "write new")
    _, found = wishes.verify()
    assert only(found)["rule"] == [f'add.files."{wishes.folder}/new" = "write create"']
    assert not (wishes.folder / "new").exists()


def test_a_capability(wishes: Wishes) -> None:
    (wishes.folder / "mine").write_text("")
    lines = (*BASE, "!own mine")
    wishes.trace(*lines)
    assert wishes.verify()[0] == 0
    wishes.local.write_text(wishes.local.read_text() + '[remove]\ncapabilities = ["CAP_CHOWN"]\n')
    status, found = wishes.verify()
    denial = only(found)
    assert (status, denial["control"], denial["capability"], denial["call"]) == (
        1,
        "capabilities",
        "CAP_CHOWN",
        "chown",
    )
    assert denial["paths"] == [f"{wishes.folder}/mine"]
    assert denial["recorded"] is True
    assert found["exit_status"] == 1


def test_an_address(wishes: Wishes) -> None:
    wishes.trace(*BASE, "bind 8093")
    assert wishes.verify()[0] == 0
    wishes.wish(*BASE, "bind 8093", "bind 8094")
    _, found = wishes.verify()
    assert only(found)["rule"] == ['add.network = ["bind tcp 127.0.0.1:8094"]']


def test_a_program_that_was_never_started(wishes: Wishes) -> None:
    wishes.trace(*BASE, "start /bin/true")
    assert wishes.verify()[0] == 0
    wishes.wish(*BASE, "start /bin/true", "start /usr/bin/id")
    _, found = wishes.verify()
    assert [each["rule"] for each in found["denials"]] == [['add.files."/usr/bin/id" = "read exec map"']]


def test_a_workload_that_only_fails_is_a_finding(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "end 3")
    status, found = wishes.verify()
    assert (status, found["denials"], found["exit_status"]) == (1, [], 3)
    assert found["failure"] == "the program ended with status 3, not with status 0"


def test_a_status_that_was_recorded_is_none(wishes: Wishes) -> None:
    wishes.trace(*BASE, "end 3")
    status, found = wishes.verify()
    assert (status, found["exit_status"], found["failure"]) == (0, 3, "")


def test_the_text_names_what_json_names(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, GETPPID)
    done = wishes.harden("verify")
    assert done.returncode == 1
    assert "seccomp: getppid: EPERM ×1 in" in done.stdout
    assert '  allow: add.syscalls = ["getppid"]' in done.stdout
    assert "call 110: 1" in done.stderr


def test_a_scenario_that_fails_under_the_profile(wishes: Wishes) -> None:
    scenario = wishes.folder / "app.scenario.toml"
    scenario.write_text(
        'format = "harden-scenario/1"\nready = { text = "read wishes: ok" }\n'
        '[[step]]\nrun = ["true"]\n[[step]]\nstop = { signal = "TERM" }\n'
    )
    wishes.trace(*BASE, "call 34", options=("--scenario", "app.scenario.toml"))
    status, found = wishes.verify()
    assert (status, found["denials"], found["failure"]) == (0, [], "")
    scenario.write_text(scenario.read_text().replace('run = ["true"]', 'run = ["false"]'))
    status, found = wishes.verify()
    assert (status, found["failure"]) == (1, "step 1 (run false): status 1, not 0")


def test_the_program_cannot_rewrite_its_scenario(wishes: Wishes) -> None:
    scenario = wishes.folder / "app.scenario.toml"
    text = 'format = "harden-scenario/1"\n'
    scenario.write_text(text)
    wishes.trace(*BASE, "write out", "write app.scenario.toml", options=("--scenario", "app.scenario.toml"))
    _, found = wishes.verify()
    assert (wishes.folder / "out").exists()
    assert [each["paths"] for each in found["denials"]] == [[str(scenario)]]
    assert scenario.read_text() == text


def test_a_signal_to_harden_proves_nothing(wishes: Wishes) -> None:
    wishes.trace(*BASE)
    wishes.wish(*BASE, "call 34")
    wishes.local.write_text(wishes.local.read_text() + '[add]\nsyscalls = ["pause"]\n')
    with subprocess.Popen(
        [HARDEN, "verify"],
        cwd=wishes.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "read wishes" not in process.stderr.readline():
            assert process.poll() is None
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (125, "")
    assert "nothing is proven" in err
    assert not (wishes.folder / "app.verified.json").exists()


def test_check_knows_what_was_verified(wishes: Wishes) -> None:
    def findings() -> list[str]:
        done = harden(
            "check", "--policy", "strict", "--format", "json", "app.profile.toml", cwd=wishes.folder, check=False
        )
        return [each["message"] for each in json.loads(done.stdout)["findings"] if each["id"] == "unverified-profile"]

    wishes.trace(*BASE)
    assert "there is no result" in findings()[0]
    wishes.verify()
    assert findings() == []
    wishes.local.write_text(wishes.local.read_text() + '[add]\nsyscalls = ["getppid"]\n')
    assert "another version" in findings()[0]
    wishes.wish(*BASE, "end 3")
    wishes.verify()
    assert "failed" in findings()[0]
