"""The peak of open files, in every way in which a process comes to a descriptor, and limits that programs set."""

from __future__ import annotations

import resource

import pytest

from harden.model.resource_limit import PeakName
from tests.kernel.recorded import record

pytestmark = pytest.mark.requires("root", "bpf", "cgroup2", "gcc")


@pytest.mark.every_kernel
@pytest.mark.parametrize(
    ("words", "peak"),
    [
        (("dup", 63), 64),
        (("dup", 700), 701),
        (("open", 300), 301),
        (("pipe",), 9),
        (("pass",), 6),
        (("child", 90), 91),
    ],
)
def test_the_highest_descriptor_of_any_process(victim, words, peak):
    assert record(victim("descriptors"), *words).peaks[PeakName.OPEN_FILES] == peak


@pytest.mark.every_kernel
def test_a_limit_of_its_own_is_what_the_program_asked_for(victim):
    assert record(victim("descriptors"), "limit", 500).peaks[PeakName.OPEN_FILES_ASKED] == 500
    assert PeakName.OPEN_FILES_ASKED not in record(victim("descriptors"), "pipe").peaks


def test_who_takes_all_there_is_asks_for_nothing(victim):
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 64
    assert PeakName.OPEN_FILES_ASKED not in record(victim("descriptors"), "all").peaks


@pytest.mark.requires("x86_64")
def test_calls_of_another_abi_make_it_unknown(victim):
    assert PeakName.OPEN_FILES not in record(victim("compat")).peaks


@pytest.mark.sees("the highest descriptor of any process")
def test_who_knows(recorded, victim):
    peaks = recorded(victim("descriptors"), "dup", 90).peaks
    assert peaks.get(PeakName.OPEN_FILES) == (91 if recorded.backend == "bpf" else None)
    assert PeakName.OPEN_FILES_ASKED not in peaks
