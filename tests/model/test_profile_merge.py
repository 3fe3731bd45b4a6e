"""The union of profiles."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings

from harden.errors import UsageError
from harden.model.control import Control, Requirement
from harden.model.diff import added_rights
from harden.model.gap import Completeness
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.model.profile_merge import merge_profiles
from harden.model.resource_limit import LimitName
from tests import recordings
from tests.check.cases import calls, files, profile


def merged(*profiles: Profile) -> Profile:
    return merge_profiles(profiles, name="app", version="0")


def test_every_right_is_kept_with_its_origin():
    one = profile(
        rights={"syscalls": {"observed": ["read"], "baseline": ["brk"]}, "capabilities": {"manual": ["CAP_KILL"]}}
    )
    other = profile(
        rights={"syscalls": {"observed": ["brk", "write"]}, "network": {"observed": ["bind tcp 0.0.0.0:80"]}}
    )
    rights = merged(one, other).rights
    assert rights.syscalls == {Origin.OBSERVED: ("brk", "read", "write"), Origin.BASELINE: ("brk",)}
    assert rights.capabilities == {Origin.MANUAL: ("CAP_KILL",)}
    assert rights.network == {Origin.OBSERVED: ("bind tcp 0.0.0.0:80",)}


def test_rights_on_one_path_add_up():
    assert merged(files(read="/srv/a"), files(write="/srv/a", list="/srv")).rights.files == {
        Origin.OBSERVED: {"/srv": "list", "/srv/a": "read write"}
    }


def test_argument_rules_add_up_unless_one_takes_any():
    unix, inet = (
        calls("socket", arguments={"socket": [[family, "SOCK_STREAM", "0"]]}) for family in ("AF_UNIX", "AF_INET")
    )
    rows = merged(unix, inet).rights.arguments["socket"][Origin.OBSERVED]
    assert rows == (("AF_INET", "SOCK_STREAM", "0"), ("AF_UNIX", "SOCK_STREAM", "0"))
    assert merged(unix, calls("socket")).rights.arguments == {}
    assert merged(unix, calls("read")).rights.arguments == unix.rights.arguments


def test_controls_are_as_strict_as_the_strictest():
    off = profile(controls={"landlock": "off", "memory": "preferred"})
    assert merged(off, profile()).controls == {
        Control.LANDLOCK: Requirement.REQUIRED,
        Control.MEMORY: Requirement.PREFERRED,
    }
    assert merged(off).controls[Control.LANDLOCK] is Requirement.OFF


def test_worst_completeness_and_all_runs_count():
    whole, lossy = profile(), profile(generated={"runs": ["b" * 12], "completeness": "incomplete"})
    generated = merged(whole, lossy).generated
    assert generated.completeness is Completeness.INCOMPLETE
    assert generated.runs == ("a" * 12, "b" * 12)


def test_another_program_is_refused():
    with pytest.raises(UsageError, match="2 programs"):
        merged(profile(), profile(workload={"program": "/usr/bin/other"}))


@settings(max_examples=40)
@given(recordings.recordings, recordings.recordings)
def test_union_covers_both_in_any_order(first, second):
    both = [
        msgspec.structs.replace(recordings.profile_of(*recording.runs), workload=profile().workload)
        for recording in (first, second)
    ]
    union = merged(*both)
    assert [change for each in both for change in added_rights(union, each)] == []
    assert merged(*reversed(both)) == union
    assert merged(union, *both).rights == merged(union).rights == union.rights


def test_the_largest_limit_is_kept_and_none_where_one_has_none():
    small = recordings.profile_of(recordings.run(peaks={"pids": 3.0, "open_files": 9.0, "memory_cgroup_bytes": 1.0}))
    large = recordings.profile_of(recordings.run(peaks={"pids": 30.0, "memory_cgroup_bytes": 5.0}))
    assert merged(small, large).rights.limits == {Origin.OBSERVED: {LimitName.MEMORY: "64M", LimitName.PIDS: 64}}
