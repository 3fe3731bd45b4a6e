"""What lies in memory beside paths: the types of file systems, and the flags of clone3."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from harden.generate.profile import generate_profile
from harden.model.baseline import Baseline
from harden.model.recording import Recording, Run
from tests.conftest import Victim
from tests.kernel.recorded import BACKENDS, record, record_by_notify

pytestmark = pytest.mark.requires("root", "gcc", "x86_64", "userns")

NEW_USER, NEW_MOUNTS, SIGCHLD = 0x10000000, 0x20000, 17


def recorded(backend: str, victim: Victim, folder: Path, source: str) -> Run:
    """With struct clone_args in a file, the kernel reads it first; on the stack, the recorder can."""
    (folder / "here").mkdir()
    folder.chmod(0o777)
    (folder / "args").write_bytes(struct.pack("=8Q", NEW_USER | NEW_MOUNTS, 0, 0, 0, SIGCHLD, 0, 0, 0))
    take = record if backend == "bpf" else record_by_notify
    return take(victim("mounting"), source, cwd=folder)


@pytest.mark.parametrize("source", ["args", "-"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.sees("types of mounts, namespaces that clone3 asks for")
def test_namespaces_that_clone3_asked_for_are_recorded(backend, victim, tmp_path, source):
    run = recorded(backend, victim, tmp_path, source)
    asked = {(seen.name, seen.values): seen.count for seen in run.arguments if seen.name in ("clone3", "unshare")}
    assert asked == {
        ("clone3", (NEW_USER | NEW_MOUNTS,)): 1,
        ("clone3", (0,)): 1,
        ("unshare", (0x40000000,)): 1,
    }
    assert run.gaps == ()


@pytest.mark.requires("bpf", "cgroup2")
def test_a_profile_grants_them_to_the_clone_that_comes_in_its_place(victim, tmp_path):
    run = recorded("bpf", victim, tmp_path, "args")
    profile = generate_profile(
        Recording.of([run]), name="x", baseline=Baseline(format="harden-baseline/1"), version="0"
    )
    assert set(profile.rights.argument_values("clone") or ()) == {(0,), (NEW_USER | NEW_MOUNTS,)}
    assert "clone3" not in profile.rights.arguments


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.sees("types of mounts, namespaces that clone3 asks for")
def test_types_of_file_systems_are_kept(backend, victim, tmp_path):
    run = recorded(backend, victim, tmp_path, "-")
    ok, refused = ("ok", "ENODEV") if backend == "bpf" else ("unknown", "unknown")
    assert {(seen.syscall, seen.filesystem, seen.result): seen.count for seen in run.mounts} == {
        ("mount", "tmpfs", ok): 1,
        ("mount", "two\\x0a# lines", refused): 1,
        ("fsopen", "tmpfs", ok): 1,
        ("fsopen", "no\\x80ne", refused): 1,
    }
