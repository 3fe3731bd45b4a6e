"""What is refused in a rerun although the profile grants it: which control did it, and that no rule helps."""

from __future__ import annotations

import pytest

from harden.model.control import Control
from harden.model.profile import LocalRights
from tests import recordings
from tests.generate.test_denial import denials, only, refusal
from tests.recordings import file, run, syscall


def test_what_another_filter_refuses_is_no_rule_of_ours():
    found = only(denials(run(), refusal("openat")))
    assert found.add == LocalRights()
    assert found.advice


def test_what_is_granted_by_a_name_with_a_link_in_it_is_refused_by_landlock():
    seen = run(files=(file("/srv/app/data", "write", result="EACCES"),))
    found = only(denials(seen, linked=("/srv/app/data",)))
    assert (found.control, found.add, found.recorded) == (Control.LANDLOCK, LocalRights(), True)
    assert "symbolic link" in found.advice
    assert only(denials(seen)).control is None
    looked = run(files=(file("/etc/app/app.conf", "stat", result="EACCES"),))
    recorded = run(files=(file("/etc/app/app.conf", "stat"),))
    assert only(denials(looked, recorded=recorded, linked=("/etc/app/app.conf",))).control is None


@pytest.mark.parametrize("call", ["mount", "umount2", "move_mount", "pivot_root"])
def test_mounts_are_refused_by_landlock(call):
    recorded = run(files=(file("/mnt", "stat", call=call),))
    seen = run(files=(file("/mnt", "stat", result="EPERM", call=call),))
    found = only(denials(seen, recorded=recorded))
    assert (found.control, found.add, found.recorded) == (Control.LANDLOCK, LocalRights(), True)
    assert 'landlock = "off"' in found.advice
    assert only(denials(seen, recorded=recorded, in_force=frozenset())).control is None
    assert denials(seen, recorded=seen) == ()


def test_calls_whose_modes_no_filter_sees_are_said_to_be_refused_by_the_own_filter():
    recorded = run(syscalls=(syscall("openat2"),))
    profile = recordings.profile_of(recorded)
    found = only(denials(run(), refusal("openat2", "ENOSYS"), profile=profile, recorded=recorded))
    assert (found.control, found.add) == (Control.SECCOMP, LocalRights())
    assert "harden's own filter answers so" in found.advice
