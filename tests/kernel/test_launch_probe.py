"""The probe tells what works by trying it, for root and for an ordinary user, and `doctor` says how to fix the rest."""

from __future__ import annotations

import itertools
import os

import pytest

from harden.kernel.doctor import examine
from harden.kernel.idmap import claim_id_range
from harden.kernel.probe import probe
from tests.sandboxes import NOBODY, features, python

pytestmark = pytest.mark.requires("root", "userns", "seccomp")


@pytest.mark.requires("overlay", "idmap", "cgroup2", "landlock")
def test_everything_that_the_tests_rely_on_is_found():
    found = features()
    assert {name for name, trial in found.trials.items() if not trial.works} == set()
    assert found.landlock_abi >= 1
    assert found.idmap[b"/"] == 0
    assert found.overlay[b"/"] == 0
    assert found.cgroup_writable


def test_probing_changes_nothing():
    with open("/proc/self/mountinfo") as before:
        text = before.read()
    assert probe() == probe()
    with open("/proc/self/mountinfo") as after:
        assert after.read() == text


@pytest.mark.requires("nobody")
def test_an_ordinary_user_gets_a_user_namespace_and_no_cgroup():
    code = (
        "from harden.kernel.probe import probe\nf = probe()\n"
        "print(f.euid, f.works('user-namespace'), f.works('id-maps'), f.works('procfs'), f.cgroup_writable, f.idmap)"
    )
    assert python(code, uid=NOBODY).stdout == f"{NOBODY} True True True False {{}}\n"


@pytest.mark.requires("x86_64")
@pytest.mark.parametrize(
    ("number", "feature"), [(435, "clone3"), (442, "mount-setattr"), (444, "landlock"), (250, "session-keyring")]
)
def test_doctor_names_a_hidden_feature_and_its_fix(number, feature):
    code = (
        "import sys\nfrom tests.outer_filter import refuse\nfrom harden.kernel.doctor import examine\n"
        f"refuse(({number},), 38)\n"
        f"found = next(f for f in examine() if f.feature == {feature!r})\n"
        "print(found.works, 'ENOSYS' in found.detail, bool(found.fix), bool(found.lost))"
    )
    ended = python(code)
    assert ended.stdout == "False True True True\n", ended.stderr


def test_doctor_says_of_every_finding_what_is_lost_and_how_to_fix_it():
    findings = examine(features())
    assert len({finding.feature for finding in findings}) == len(findings)
    assert all(finding.lost and finding.fix and finding.detail for finding in findings)


def test_id_ranges_do_not_overlap():
    ranges = [claim_id_range() for _ in range(8)]
    firsts = sorted(claimed.first for claimed in ranges)
    assert all(right - left >= 65536 for left, right in itertools.pairwise(firsts))
    assert firsts[0] >= 1879048192
    assert firsts[-1] + 65535 <= 2147352575
    for claimed in ranges:
        os.close(claimed.lock)
