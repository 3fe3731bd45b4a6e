"""AppArmor end to end: what was traced runs under the label made from it, what was not is refused and logged."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.jobs import HARDEN, environment, harden
from tests.e2e.wishes import Wishes

pytestmark = pytest.mark.requires("apparmor", "apparmor-parser", "root", "bpf", "landlock", "cgroup2", "sqlite3")

TABLE = "create table if not exists note(t); insert into note values('hello'); select t from note limit 1"
LABEL = re.compile(r"harden\.[A-Za-z0-9._-]+\.[0-9a-f]{32} \(enforce\)")
ONLY_APPARMOR = '[controls]\nlandlock = "off"\n'
"""Landlock is asked before AppArmor: what both refuse, AppArmor never sees."""
NOT_TRACED = "/usr/lib/os-release"
"""Visible in every sandbox, and no business of sqlite3's."""


def local(folder: Path, text: str) -> None:
    (folder / "app.local.toml").write_text(f'format = "harden-local/1"\n{text}')


def traced(folder: Path, *command: str) -> Path:
    harden("trace", "--name", "app", "--", *command, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traced(tmp_path_factory.mktemp("notes"), "sqlite3", "notes.db", TABLE)


@pytest.fixture
def notes(recorded: Path) -> Path:
    """The folder of the profile as the trace left it."""
    for path in set(recorded.iterdir()) - {recorded / "app.profile.toml", recorded / "app.recording.json"}:
        path.unlink()
    return recorded


def enforced(folder: Path) -> dict[str, dict[str, str]]:
    document = json.loads((folder / "enforced.json").read_text())
    return {each["control"]: each for each in document["controls"]}


def audit(folder: Path, verdict: str, name: str) -> list[str]:
    """The kernel's log lines of AppArmor about `name`."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return [line for line in log.splitlines() if f'apparmor="{verdict}"' in line and f'name="{name}"' in line]


def test_the_traced_program_runs_under_its_label(notes):
    done = harden("run", "--enforced-json", "enforced.json", cwd=notes)
    assert done.stdout == "hello\n"
    assert "apparmor" not in done.stderr
    apparmor = enforced(notes)["apparmor"]
    assert apparmor["enforcement"] == "FULLY_ENFORCED"
    assert LABEL.fullmatch(apparmor["value"])
    assert (notes / "notes.db").exists()


def test_the_label_is_seen_from_inside_and_inherited(tmp_path):
    traced(tmp_path, "/bin/sh", "-c", "cat /proc/self/attr/apparmor/current; :")
    seen = harden("run", cwd=tmp_path).stdout.strip()
    assert LABEL.fullmatch(seen)


def test_descriptors_that_are_handed_over_can_be_looked_at(tmp_path):
    """They are of files outside of the sandbox, or of none any more."""
    traced(tmp_path, "/bin/cat")
    text = tmp_path / "text"
    text.write_text("hello\n")
    with open(text) as stdin, open(tmp_path / "out", "w") as stdout:
        text.unlink()
        command = [str(HARDEN), "run", "--", "/bin/cat"]
        subprocess.run(command, cwd=tmp_path, env=environment(), stdin=stdin, stdout=stdout, check=True)
    assert (tmp_path / "out").read_text() == "hello\n"


def test_what_was_not_traced_is_refused_by_apparmor_alone_and_logged(notes):
    read = ("run", "--", "sqlite3", "notes.db", f".import {NOT_TRACED} lines", "select count(*) > 0 from lines")
    local(notes, ONLY_APPARMOR)
    refused = harden(*read, cwd=notes, check=False)
    assert refused.returncode != 0
    assert "cannot open" in refused.stderr
    lines = audit(notes, "DENIED", NOT_TRACED)
    assert lines
    assert 'profile="harden.app.' in lines[-1]


def test_the_same_is_allowed_where_no_control_refuses_it(notes):
    local(notes, '[controls]\nlandlock = "off"\napparmor = "off"\n')
    read = ("run", "--", "sqlite3", "notes.db", f".import {NOT_TRACED} lines", "select count(*) > 0 from lines")
    assert harden(*read, cwd=notes).stdout == "1\n"


def test_one_profile_is_loaded_once_and_a_changed_one_beside_it(notes):
    def labels() -> set[str]:
        loaded = Path("/sys/kernel/security/apparmor/profiles").read_text().splitlines()
        return {line for line in loaded if line.startswith("harden.app.")}

    before = labels()
    for name, expected in (("one", 1), ("one", 1), ("another", 2)):
        local(notes, f'[add]\nfiles."/etc/harden-test-{name}" = "read"\n')
        harden("run", cwd=notes)
        assert len(labels() - before) == expected


def without_the_right_to_load(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["setpriv", "--bounding-set=-mac_admin", str(HARDEN), "run", "--enforced-json", "enforced.json"]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_a_profile_that_cannot_be_loaded_stops_the_start_where_it_is_required(notes):
    local(notes, '[controls]\napparmor = "required"\n[add]\nfiles."/etc/harden-test-of-a-refused-load" = "read"\n')
    done = without_the_right_to_load(notes)
    assert done.returncode == 125
    assert "apparmor: cannot be enforced: " in done.stderr
    assert "apparmor_parser --replace: " in done.stderr
    assert not (notes / "notes.db").exists()


def test_a_profile_that_cannot_be_loaded_is_reported_where_it_is_preferred(notes):
    local(notes, '[add]\nfiles."/etc/harden-test-of-a-failed-load" = "read"\n')
    done = without_the_right_to_load(notes)
    assert done.returncode == 0, done.stderr
    apparmor = enforced(notes)["apparmor"]
    assert apparmor["enforcement"] == "NOT_ENFORCED"
    assert "apparmor_parser --replace: " in apparmor["reason"]


def test_a_label_that_is_not_loaded_stops_the_start(notes):
    done = harden("run", "--apparmor", "harden-test-nowhere", cwd=notes, check=False)
    assert done.returncode == 125
    assert "apparmor: cannot enter the AppArmor profile harden-test-nowhere at exec: write: ENOENT" in done.stderr


def load(text: str, *options: str) -> None:
    subprocess.run(["apparmor_parser", "--replace", "-K", *options], input=text, text=True, check=True)


def test_a_label_in_complain_mode_is_not_in_force(notes):
    load("profile harden-test-complain flags=(complain) { }\n")
    done = harden("run", "--apparmor", "harden-test-complain", cwd=notes, check=False)
    assert done.returncode == 125
    assert "harden-test-complain (complain)" in done.stderr


def test_a_loaded_label_can_be_entered_by_name(notes):
    load("profile harden-test-wide { file, capability, network, signal, ptrace, unix, }\n")
    harden("run", "--apparmor", "harden-test-wide", "--enforced-json", "enforced.json", cwd=notes)
    assert enforced(notes)["apparmor"]["value"] == "harden-test-wide (enforce)"


def exported(folder: Path, *options: str, how: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The command that starts a program in the exported profile by AppArmor's means, without no_new_privs."""
    harden("export", "app.profile.toml", "--format", "apparmor", *how, "-o", "app.apparmor", cwd=folder)
    load((folder / "app.apparmor").read_text(), *options)
    return ("aa-exec", "-p", "harden.app", "--")


def execute(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_the_exported_profile_holds_outside_harden_too(notes):
    enter = exported(notes)
    works = execute(*enter, "/usr/bin/sqlite3", "notes.db", TABLE, folder=notes)
    assert (works.returncode, works.stdout) == (0, "hello\n"), works.stderr
    refused = execute(*enter, "/usr/bin/sqlite3", "notes.db", f".import {NOT_TRACED} lines", folder=notes)
    assert "cannot open" in refused.stderr
    assert audit(notes, "DENIED", NOT_TRACED)


def test_the_exported_profile_in_complain_mode_allows_and_logs(notes):
    enter = exported(notes, "--Complain")
    read = execute(*enter, "/usr/bin/sqlite3", "notes.db", f".import {NOT_TRACED} lines", folder=notes)
    assert read.returncode == 0, read.stderr
    assert audit(notes, "ALLOWED", NOT_TRACED)
    enter = exported(notes)
    refused = execute(*enter, "/usr/bin/sqlite3", "notes.db", f".import {NOT_TRACED} lines", folder=notes)
    assert "cannot open" in refused.stderr


def test_child_profiles_hold_what_is_started_to_its_own(tmp_path):
    for name in ("own", "inner"):
        (tmp_path / name).write_text(f"{name}\n")
    script = 'read line < own; echo "$line"; cat inner /proc/self/attr/apparmor/current; :'
    traced(tmp_path, "/bin/sh", "-c", script)
    enter = exported(tmp_path, how=("--children",))
    works = execute(*enter, "/bin/sh", "-c", script, folder=tmp_path)
    assert works.stdout.splitlines() == ["own", "inner", "harden.app//usr.bin.cat (enforce)"], works.stderr
    # What the shell was seen to read is none of cat's business.
    refused = execute(*enter, "/bin/sh", "-c", "cat own; :", folder=tmp_path)
    assert "Permission denied" in refused.stderr
    assert refused.stdout == ""
    assert audit(tmp_path, "DENIED", str(tmp_path / "own"))
    # And what only cat was seen to read is none of the shell's.
    works = execute(*enter, "/bin/sh", "-c", 'read line < own; echo "$line"', folder=tmp_path)
    assert works.stdout == "own\n", works.stderr
    refused = execute(*enter, "/bin/sh", "-c", 'read line < inner; echo "got $line"', folder=tmp_path)
    assert "ermission denied" in refused.stderr
    assert "got inner" not in refused.stdout
    assert audit(tmp_path, "DENIED", str(tmp_path / "inner"))


def test_probe_is_confined_as_the_program_is(notes):
    done = harden("probe", "--json", cwd=notes)
    assert "apparmor" not in " ".join(json.loads(done.stdout)["notes"])


@pytest.mark.requires("gcc", "seccomp", "overlay", "idmap")
def test_verify_names_what_apparmor_refused_and_refine_grants_it(tmp_path):
    wishes = Wishes(tmp_path)
    wishes.trace("read wishes")
    wishes.local.write_text(f'format = "harden-local/1"\n{ONLY_APPARMOR}')
    wishes.wish("read wishes", f"read {NOT_TRACED}")
    status, found = wishes.verify()
    assert status == 1
    (denial,) = found["denials"]
    assert (denial["control"], denial["source"], denial["result"]) == ("apparmor", "audit", "EACCES")
    assert (denial["paths"], denial["rule"]) == ([NOT_TRACED], [f'add.files."{NOT_TRACED}" = "read"'])
    assert found["lost"] == []
    assert audit(tmp_path, "DENIED", NOT_TRACED)
    wishes.harden("refine", "--yes")
    _, found = wishes.verify()
    assert found["denials"] == []


@pytest.mark.requires("gcc", "seccomp", "overlay", "idmap", "audit")
def test_verify_tells_apparmor_from_landlock_by_the_kernels_log(tmp_path):
    """Both are in force, and either refuses what the other does not rule."""
    wishes = Wishes(tmp_path)
    wishes.trace("read wishes", "write made")
    wishes.local.write_text('format = "harden-local/1"\n')
    wishes.wish("read wishes", f"read {NOT_TRACED}")
    _, found = wishes.verify()
    (denial,) = found["denials"]
    assert (denial["control"], denial["source"]) == ("landlock", "errno"), "it is asked first"
    # Landlock has one right for all that can be written; a folder's own right lets every name in it be made.
    wishes.wish("read wishes", "write another")
    _, found = wishes.verify()
    (denial,) = found["denials"]
    assert (denial["control"], denial["source"], denial["call"]) == ("apparmor", "audit", "openat")
    assert denial["paths"] == [str(tmp_path / "another")]


@pytest.mark.requires("gcc", "seccomp", "overlay", "idmap", "audit")
def test_a_name_that_looks_like_a_record_is_a_name(tmp_path):
    hostile = Path('/usr/lib/x"profile="y"name="z')
    wishes = Wishes(tmp_path)
    wishes.trace("read wishes")
    wishes.local.write_text(f'format = "harden-local/1"\n{ONLY_APPARMOR}')
    wishes.wish("read wishes", f"read {hostile}")
    hostile.write_text("")
    try:
        _, found = wishes.verify()
    finally:
        hostile.unlink()
    (denial,) = found["denials"]
    assert (denial["control"], denial["source"], denial["paths"]) == ("apparmor", "audit", [str(hostile)])
    assert found["lost"] == []
