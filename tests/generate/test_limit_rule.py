"""Limits from peaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.generate.evidence import evidence_of
from harden.generate.limit_rule import LIMIT_RULES, raised_limit
from harden.model.cover import missing
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.model.recording import Recording
from harden.model.resource_limit import LIMIT_BOUNDS, LimitName, PeakName
from harden.render.profile_toml import render_profile
from tests.recordings import profile_of, run

MIB = 1 << 20


def learned(*peaks: dict[str, float]) -> Profile:
    return profile_of(*(run(peaks=each, workload={"argv": ("app", str(at))}) for at, each in enumerate(peaks)))


@pytest.mark.parametrize(
    ("peaks", "limits"),
    [
        ({"memory_cgroup_bytes": 40 * MIB}, {"memory": "128M"}),
        ({"memory_cgroup_bytes": 32 * MIB}, {"memory": "64M"}),
        ({"memory_tree_bytes": 32 * MIB}, {"memory": "128M"}),
        ({"memory_cgroup_bytes": 700 * MIB, "memory_tree_bytes": 4000 * MIB}, {"memory": "2G"}),
        ({"memory_cgroup_bytes": 1.0}, {"memory": "64M"}),
        ({"pids": 1.0}, {"pids": 64}),
        ({"pids": 33.0}, {"pids": 128}),
        ({"open_files": 5.0}, {"nofile": 1024}),
        ({"open_files": 513.0}, {"nofile": 2048}),
        ({"open_files": 14.0, "open_files_asked": 10032.0}, {"nofile": 10032}),
        ({"open_files": 6000.0, "open_files_asked": 10032.0}, {"nofile": 16384}),
        ({"memory_bytes": 40.0 * MIB, "elapsed_s": 3.0, "cpu_user_s": 2.0}, {}),
    ],
)
def test_one_run(peaks, limits):
    assert learned(peaks).rights.limits.get(Origin.OBSERVED, {}) == limits


def test_many_runs_get_what_the_greediest_needs():
    limits = learned({"pids": 3.0}, {"pids": 40.0}, {"pids": 7.0}).rights.limits
    assert limits == {Origin.OBSERVED: {LimitName.PIDS: 128}}


def test_what_one_run_does_not_tell_is_not_limited_and_said():
    profile = learned({"pids": 3.0, "open_files": 5.0}, {"pids": 3.0})
    assert profile.rights.limits == {Origin.OBSERVED: {LimitName.PIDS: 64}}
    assert [text for text in profile.generated.notes if "limited" in text] == [
        "nofile is not limited: 1 of 2 runs do not tell their peak; record them again for a limit"
    ]


def test_the_file_tells_the_peak_behind_each():
    runs = Recording.of([run(peaks={"memory_tree_bytes": 21.4 * MIB, "open_files": 14.0, "open_files_asked": 10032.0})])
    text = render_profile(profile_of(*runs.runs), evidence_of(runs)).decode()
    table = text[text.index("[rights.limits.observed]") :]
    assert table.splitlines()[:3] == [
        "[rights.limits.observed]",
        'memory = "128M"  # peak 21.4M (process tree)',
        "nofile = 10032  # peak 14, set to 10032 by the program itself",
    ]


def test_a_program_above_its_limit_is_not_covered():
    profile = learned({"pids": 3.0, "memory_cgroup_bytes": 8.0 * MIB, "open_files": 9.0})
    above = run(peaks={"pids": 65.0, "memory_cgroup_bytes": 65.0 * MIB, "open_files": 9.0, "open_files_asked": 1025.0})
    assert missing(profile, above) == (
        f"memory up to {65 * MIB}, limited to 64M",
        "nofile up to 1025, limited to 1024",
        "pids up to 65, limited to 64",
    )


_PEAKS = st.fixed_dictionaries(
    {},
    optional={
        PeakName.MEMORY_CGROUP.value: st.floats(1, 1 << 50),
        PeakName.MEMORY_TREE.value: st.floats(1, 1 << 50),
        PeakName.PIDS.value: st.integers(1, LIMIT_BOUNDS[LimitName.PIDS][1]).map(float),
        PeakName.OPEN_FILES.value: st.integers(1, 1 << 30).map(float),
        PeakName.OPEN_FILES_ASKED.value: st.integers(0, 1 << 30).map(float),
    },
)


@given(st.lists(_PEAKS, min_size=1, max_size=4))
def test_limits_cover_every_peak_and_leave_room(peaks):
    profile = learned(*peaks)
    limits = profile.rights.all_limits()
    for at, each in enumerate(peaks):
        assert missing(profile, run(peaks=each, workload={"argv": ("app", str(at))})) == ()
    told = {name: all(each.get(name) for each in peaks) for name in (PeakName.PIDS, PeakName.OPEN_FILES)}
    assert told == {PeakName.PIDS: LimitName.PIDS in limits, PeakName.OPEN_FILES: LimitName.NOFILE in limits}
    if LimitName.PIDS in limits:
        most = max(each["pids"] for each in peaks)
        assert limits[LimitName.PIDS] >= min(2 * most, LIMIT_BOUNDS[LimitName.PIDS][1])


@given(st.sampled_from(LimitName), st.integers(1, 1 << 62))
def test_raising_goes_beyond_twice_as_much_up_to_what_the_kernel_takes(name, number):
    most = LIMIT_BOUNDS[name][1]
    assert raised_limit(name, min(number, most)) >= min(2 * number, most)
    assert raised_limit(name, most) == most


def test_every_rule_has_its_reason():
    assert all(rule.why for rule in LIMIT_RULES.values())
