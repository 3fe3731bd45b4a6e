"""Capability checks: verdict, the call they happened in, the namespace, and checks that only look."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from harden.errors import HardenError
from harden.model.need import capability_needs
from harden.model.recording import CapabilityNamespace, Run
from harden.trace import Recorder, probe_recorder
from tests.kernel.recorded import cgroup, gated, record, run_of

pytestmark = [pytest.mark.every_kernel, pytest.mark.requires("root", "bpf", "cgroup2", "gcc", "x86_64")]


def checks(run: Run, capability: str) -> set[tuple[bool, str, bool]]:
    return {(seen.granted, seen.syscall, seen.probing) for seen in run.capabilities if seen.capability == capability}


def test_root_may_chown(tmp_path):
    (tmp_path / "file").write_text("")
    run = record("/bin/chown", "12", tmp_path / "file")
    assert checks(run, "CAP_CHOWN") == {(True, "fchownat", False)}


def test_nobody_may_not_chown():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "file").write_text("")
        run = record("/bin/chown", "12", f"{folder}/file", options=("--id", "65534"), expect=1)
    assert checks(run, "CAP_CHOWN") == {(False, "fchownat", False)}


def test_overcommit_accounting_only_looks():
    run = record("/bin/true")
    assert {probing for _granted, _syscall, probing in checks(run, "CAP_SYS_ADMIN")} <= {True}


def test_a_capability_over_a_namespace_that_the_program_made_is_nested():
    run = record("/usr/bin/unshare", "--user", "--map-root-user", "--uts", "/bin/hostname", "inside")
    seen = [seen for seen in run.capabilities if seen.syscall == "sethostname"]
    assert [(one.capability, one.namespace, one.granted) for one in seen] == [
        ("CAP_SYS_ADMIN", CapabilityNamespace.NESTED, True)
    ]
    assert "CAP_SYS_ADMIN" not in capability_needs(run)


def test_a_capability_over_the_sandbox_is_the_sandboxs():
    run = record("/usr/bin/unshare", "--uts", "/bin/hostname", "inside")
    seen = [seen for seen in run.capabilities if seen.syscall == "sethostname"]
    assert [(one.capability, one.namespace, one.granted) for one in seen] == [
        ("CAP_SYS_ADMIN", CapabilityNamespace.SANDBOX, True)
    ]
    assert "CAP_SYS_ADMIN" in capability_needs(run)


def test_a_capability_over_the_host_is_the_hosts():
    run = record("/bin/hostname", "never", options=("--userns",), expect=1)
    seen = [seen for seen in run.capabilities if seen.syscall == "sethostname"]
    assert [(one.capability, one.namespace, one.granted) for one in seen] == [
        ("CAP_SYS_ADMIN", CapabilityNamespace.HOST, False)
    ]


def test_every_hook_that_works_here_gives_the_same_verdicts(tmp_path):
    (tmp_path / "file").write_text("")
    working = {state.capability_hook for state in probe_recorder() if state.works} - {""}
    refused = {state.capability_hook for state in probe_recorder() if not state.works}
    assert working
    for hook in working - refused:
        with (
            cgroup() as folder,
            gated(folder, "/bin/chown", "12", tmp_path / "file") as process,
            Recorder.attach(folder.stat().st_ino, capability_hooks=(hook,)) as recorder,
        ):
            process.open()
            assert process.wait() == 0
            run = run_of(recorder.stop())
        assert hook in run.host.recorder
        assert checks(run, "CAP_CHOWN") == {(True, "fchownat", False)}
        assert {probing for _granted, _syscall, probing in checks(run, "CAP_SYS_ADMIN")} <= {True}


def test_a_hook_that_does_not_work_here_is_an_error_that_names_it():
    refused = {state.capability_hook for state in probe_recorder() if not state.works} - {""}
    for hook in refused:
        with pytest.raises(HardenError, match=f"no hook for capability checks: capability_{hook}"):
            Recorder.attach(1, capability_hooks=(hook,))
