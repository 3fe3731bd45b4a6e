"""`harden generate`: one profile from recordings, and what `--families` adds to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harden.cli import main
from harden.folder import ProfileFiles
from harden.model.document import encode_json
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.model.recording import Recording
from tests.recordings import run, syscall


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    seen = run(syscalls=(syscall("openat"), syscall("fork"), syscall("read")))
    Path("app.recording.json").write_bytes(encode_json(Recording.of([seen])))
    return "app.recording.json"


def generated(*words: str) -> Profile:
    with pytest.raises(SystemExit) as caught:
        main(["generate", *words, "-o", "new.profile.toml"])
    assert caught.value.code == 0
    return ProfileFiles.of_profile(Path("new.profile.toml")).load_profile()


def test_families_are_granted_on_request_only(recording: str) -> None:
    plain, wide = generated(recording), generated(recording, "--families")
    assert Origin.FAMILY not in plain.rights.syscalls
    family = set(wide.rights.syscalls[Origin.FAMILY])
    assert {"open", "openat2", "clone", "vfork", "readv"} <= family
    assert not family & {"openat", "fork", "read", "ptrace"}
    assert wide.rights.syscalls[Origin.OBSERVED] == plain.rights.syscalls[Origin.OBSERVED]


def test_a_sibling_that_makes_namespaces_makes_none(recording: str) -> None:
    assert generated(recording, "--families").rights.argument_values("clone") == ((0,),)
