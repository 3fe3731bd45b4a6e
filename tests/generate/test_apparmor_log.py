"""What AppArmor's own log adds to a rerun: certainty about files, and what no errno shows."""

from __future__ import annotations

from typing import Any

import pytest

from harden.generate.apparmor_log import AppArmorLog
from harden.generate.denial import denials_of
from harden.generate.history import History
from harden.model.apparmor_record import AppArmorRecord
from harden.model.control import Control
from harden.model.denial import Denial, DenialSource
from harden.model.profile import LocalRights
from harden.model.recording import Recording, Run
from tests import recordings
from tests.recordings import PROGRAM, file, run

RECORDED = recordings.small_run()
BOTH = frozenset({Control.SECCOMP, Control.LANDLOCK, Control.APPARMOR, Control.CAPABILITIES})
WHERE = "/usr/lib/os-release"


def record(name: bytes = WHERE.encode(), **more: Any) -> AppArmorRecord:
    whole = {"operation": "open", "comm": b"app", "pid": 7, "requested": "r", "denied": "r", **more}
    return AppArmorRecord(profile="harden.app", name=name, **whole)


def denials(seen: Run, *records: AppArmorRecord, complete: bool = True, recorded: Run = RECORDED) -> tuple[Denial, ...]:
    return denials_of(
        seen,
        (),
        profile=recordings.profile_of(RECORDED),
        history=History(Recording.of([recorded])),
        on_host=frozenset(),
        in_force=BOTH,
        log=AppArmorLog(records=records, is_complete=complete),
    )


REFUSED = run(files=file(WHERE, "read", result="EACCES"))


def only(found: tuple[Denial, ...]) -> Denial:
    assert len(found) == 1, found
    return found[0]


def test_a_record_makes_it_apparmors_and_not_landlocks():
    found = only(denials(REFUSED, record()))
    assert (found.control, found.source, found.executable) == (Control.APPARMOR, DenialSource.AUDIT, PROGRAM)
    assert found.add == LocalRights(files={WHERE: "read"})


def test_no_record_makes_it_landlocks():
    found = only(denials(REFUSED))
    assert (found.control, found.source) == (Control.LANDLOCK, DenialSource.ERRNO)


def test_what_neither_explains_is_apparmors_only_if_its_log_has_gaps():
    """Nothing of Landlock's: owners are not its business."""
    seen = run(files=file("/etc/app/app.conf", "chown", result="EACCES"))
    assert denials(seen) == ()
    found = only(denials(seen, complete=False))
    assert (found.control, found.source) == (Control.APPARMOR, DenialSource.ERRNO)


def test_a_right_that_the_profile_grants_and_apparmor_refuses_names_its_letters():
    seen = run(files=file("/etc/app/app.conf", "read", result="EACCES"))
    found = only(denials(seen, record(b"/etc/app/app.conf", requested="rc", denied="c")))
    assert found.add == LocalRights(files={"/etc/app/app.conf": "create"})


@pytest.mark.parametrize(
    ("told", "add"),
    [
        (record(denied="wc"), {"files": {WHERE: "write create"}}),
        (record(operation="mkdir", denied="c"), {"files": {WHERE: "mkdir"}}),
        (record(operation="exec", denied="x"), {"files": {WHERE: "read exec map"}}),
        (record(b"", operation="capable", capability="CAP_NET_ADMIN"), {"capabilities": ("CAP_NET_ADMIN",)}),
        (record(b"/srv/a*b @{pid}", denied="r"), {"files": {"/srv/a\\x2ab \\x40{pid}": "read"}}),
    ],
)
def test_what_only_the_log_tells_of_is_a_denial_with_its_rule(told, add):
    found = only(denials(run(), told))
    assert (found.control, found.source, found.recorded) == (Control.APPARMOR, DenialSource.AUDIT, None)
    assert (found.executable, found.call) == ("app", told.operation)
    assert found.add == LocalRights(**add)
    assert found.advice == ""


def test_what_no_right_stands_for_has_advice():
    found = only(denials(run(), record(b"", operation="signal", denied="send", details=("signal=term",))))
    assert found.add == LocalRights()
    assert (found.arguments, bool(found.advice)) == (("signal=term",), True)


def test_the_same_from_several_processes_is_one_denial():
    found = only(denials(run(), record(b"/a", pid=7), record(b"/a", pid=8)))
    assert found.count == 2


def test_what_was_refused_when_it_was_recorded_is_none():
    recorded = run(files=file("/a", "read", result="EACCES"))
    assert denials(run(), record(b"/a"), recorded=recorded) == ()
    assert denials(run(), record(b"/b"), recorded=recorded) != ()


def test_huge_pages_are_no_file():
    assert denials(run(), record(b"/", operation="file_mmap", denied="rw")) == ()
    assert denials(run(), record(b"/", operation="open", denied="r")) != ()
    assert denials(run(), record(b"/lib/x.so", operation="file_mmap", denied="m")) != ()


def test_a_hostile_task_name_is_text():
    found = only(denials(run(), record(b"/a", comm=b"\x1b[2J\xff")))
    assert found.executable == "\\x1b[2J\\xff"
