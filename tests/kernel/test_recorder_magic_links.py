"""Links of proc(5) that lead where no text leads: what is opened through them is what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from harden.model.file_operation import CAN_HAVE_WORKED
from harden.model.need import file_needs
from harden.model.recording import Completeness, GapKind, Run
from harden.model.recording import FileOperation as Op
from tests.files_by_links import READ, prepare
from tests.kernel.recorded import operations, record_as_user, record_by_notify

pytestmark = pytest.mark.requires("root", "gcc", "x86_64")


def done(run: Run, folder: Path, *wanted: Op) -> set[str]:
    """What one of these was done to, and may have worked."""
    return {
        path for path, operation, result in operations(run, folder) if operation in wanted and result in CAN_HAVE_WORKED
    }


def test_what_a_link_of_proc_leads_to_is_recorded(recorded_by_all, victim, place):
    run = recorded_by_all(victim("magic_links"), place, cwd=prepare(place))
    assert done(run, place, Op.READ) == READ
    assert done(run, place, Op.WRITE) == {"open", "made"}
    assert done(run, place, Op.CREATE) == {"made"}
    assert run.gaps == ()


def test_the_links_themselves_are_only_looked_at(recorded_by_all, victim, place):
    needs = file_needs(recorded_by_all(victim("magic_links"), place, cwd=prepare(place)))
    by_links = {path: needs[path] for path in needs if path.startswith((b"/proc/", b"/dev/fd"))}
    assert set(by_links.values()) == {frozenset({Op.STAT})}
    assert not any(path.startswith((b"pipe", b"uts")) for path in needs)


def test_a_standard_stream_is_the_file_that_it_is(recorded_by_all, place):
    (place / "data").write_text("content\n")
    for script in ("cat /dev/stdin <data", "cat /dev/fd/0 <data", "exec 3<data; cat /proc/self/fd/3"):
        run = recorded_by_all("/bin/sh", "-c", script, cwd=place)
        assert ("data", Op.READ) in {(path, operation) for path, operation, _ in operations(run, place)}
        needs = file_needs(run)
        assert all(Op.READ not in needs[path] for path in needs if path.startswith((b"/dev/", b"/proc/self/fd")))
        assert run.gaps == ()


def test_a_process_in_a_namespace_has_another_number_outside(recorded, place):
    (place / "data").write_text("content\n")
    run = recorded("/usr/bin/unshare", "--pid", "--fork", "/bin/cat", f"/proc/thread-self/root{place}/data", cwd=place)
    assert done(run, place, Op.READ) == {"data"}
    assert run.gaps == ()


@pytest.mark.requires("seccomp-notify", "overlay", "idmap")
def test_a_script_that_a_link_of_proc_leads_to_has_its_path(place):
    script = place / "script"
    script.write_text("#!/bin/sh\nexit 4\n")
    script.chmod(0o755)
    run = record_by_notify("/bin/sh", "-c", "exec 3<script; exec /proc/self/fd/3", cwd=place, expect=4)
    assert str(script) in {program.path for program in run.executables}
    assert Op.EXEC in file_needs(run)[bytes(script)]


@pytest.mark.requires("nobody", "userns", "seccomp-notify")
def test_a_link_that_the_recorder_may_not_follow_is_a_gap(place):
    """map_files needs a capability over the initial user namespace."""
    run = record_as_user(
        "/bin/sh", "-c", "for file in /proc/self/map_files/*; do ! true <$file; break; done", cwd=place
    )
    assert [(gap.kind, gap.count) for gap in run.gaps] == [(GapKind.UNREADABLE_PATH, 1)]
    assert run.completeness is Completeness.INCOMPLETE


@pytest.mark.requires("seccomp-notify", "overlay", "idmap")
@pytest.mark.parametrize(("links", "gaps"), [(3, []), (5, [(GapKind.UNREADABLE_PATH, 1)])])
def test_a_path_that_links_make_longer_than_the_recorder_keeps_is_a_gap(place, links, gaps):
    (place / "0").mkdir()
    (place / "0/data").write_text("content\n")
    for number in range(links):
        (place / str(number + 1)).symlink_to(f"{number}" + "/." * 2040)
    (place / "first").symlink_to(f"/proc/self/cwd/{links}/data")
    run = record_by_notify("/bin/cat", "first", cwd=place)
    assert [(gap.kind, gap.count) for gap in run.gaps] == gaps
    assert ("0/data" in done(run, place, Op.READ)) == (not gaps)
