"""How dangerous an addition is, and what is said of it."""

from __future__ import annotations

import pytest

from harden.generate.proposal import joined, proposals_of
from harden.model.control import Control
from harden.model.denial import Denial, DenialSource
from harden.model.profile import LocalRights
from harden.model.severity import Severity
from tests import recordings
from tests.recordings import PROGRAM


def denial(add: LocalRights) -> Denial:
    return Denial(
        source=DenialSource.ERRNO,
        control=Control.SECCOMP,
        executable=PROGRAM,
        call="x",
        result="EPERM",
        count=1,
        recorded=False,
        add=add,
    )


@pytest.mark.parametrize(
    ("add", "level", "guarded"),
    [
        (LocalRights(syscalls=("getppid",)), Severity.LOW, False),
        (LocalRights(syscalls=("kill",)), Severity.MEDIUM, False),
        (LocalRights(syscalls=("userfaultfd",)), Severity.HIGH, False),
        (LocalRights(syscalls=("ptrace",)), Severity.CRITICAL, False),
        (LocalRights(capabilities=("CAP_SYS_ADMIN",)), Severity.CRITICAL, False),
        (LocalRights(files={"/srv/app/x": "read write"}), Severity.LOW, False),
        (LocalRights(files={"/etc/hosts": "read"}), Severity.HIGH, True),
        (LocalRights(files={"/etc/hosts": "read write"}), Severity.CRITICAL, True),
        (LocalRights(files={"/etc/shadow": "read"}), Severity.CRITICAL, True),
        (LocalRights(files={"/root/.ssh/id_rsa": "read"}), Severity.CRITICAL, True),
        (LocalRights(files={"/home/u/.ssh/config": "stat"}), Severity.CRITICAL, True),
    ],
)
def test_level(add: LocalRights, level: Severity, guarded: bool) -> None:
    (proposal,) = proposals_of([denial(add)], recordings.small_profile())
    assert proposal.level is level
    assert bool(proposal.guarded) is guarded
    assert all(change.why for change in proposal.changes)


def test_the_own_working_folder_is_not_guarded() -> None:
    profile = recordings.profile_of(recordings.run(workload={"cwd": "/root/project"}))
    (proposal,) = proposals_of([denial(LocalRights(files={"/root/project/x": "read"}))], profile)
    assert proposal.guarded == ()
    (proposal,) = proposals_of([denial(LocalRights(files={"/root/other/x": "read"}))], profile)
    assert proposal.level is Severity.CRITICAL


def test_what_no_rule_allows_is_not_proposed() -> None:
    assert proposals_of([denial(LocalRights())], recordings.small_profile()) == ()


def test_one_rule_is_proposed_once_and_the_most_dangerous_first() -> None:
    adds = [LocalRights(syscalls=("getppid",)), LocalRights(syscalls=("bpf",)), LocalRights(syscalls=("getppid",))]
    found = proposals_of(map(denial, adds), recordings.small_profile())
    assert [each.add.syscalls for each in found] == [("bpf",), ("getppid",)]
    assert joined(found) == LocalRights(syscalls=("bpf", "getppid"))
