"""A working folder that is mounted over: its name leads to another folder, where the same profile grants less."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.launch.test_plan_cache import COMMAND, ENVIRONMENT

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap")

SECRET = "/etc/shadow"
KEPT, PLANNED = True, False


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two folders with one profile, to which the local file of `granted` adds a secret."""
    for name in ("granted", "refused", "top"):
        (tmp_path / name).mkdir()
    (tmp_path / "top/sub").mkdir()
    traced = [COMMAND, "trace", "--name", "cat", "--", "/bin/cat", "/dev/null"]
    subprocess.run(traced, cwd=tmp_path / "granted", env=ENVIRONMENT, capture_output=True, check=True)
    (tmp_path / "refused/cat.profile.toml").hardlink_to(tmp_path / "granted/cat.profile.toml")
    added = f'[add]\nfiles."{SECRET}" = "read"\n'
    for name, more in (("granted", added), ("refused", "")):
        (tmp_path / name / "cat.local.toml").write_text(f'format = "harden-local/1"\n{more}')
    return tmp_path


def runs(place: Path, script: str) -> list[tuple[bool, bool]]:
    """Of each RUN of a shell script, in a mount namespace of its own: from a kept plan? shown the secret?."""
    run = f"{{ {COMMAND} run -p $profile -- cat {SECRET} 2>&1 || true; }}; echo; echo -- END --"
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script.replace("RUN", run)],
        cwd=place,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [("import time:" not in part, "root:" in part) for part in ended.stdout.split("-- END --\n")[:-1]]


def test_a_plan_of_what_is_mounted_over_is_not_that_of_its_name(place: Path) -> None:
    script = f"""
        profile=cat.profile.toml
        cd granted
        mount --bind {place}/refused {place}/granted
        RUN; RUN
        cd {place}/granted
        RUN; RUN
        umount -l {place}/granted
        cd {place}/granted
        RUN; RUN"""
    below, inside = [(PLANNED, True), (PLANNED, True)], [(PLANNED, False), (KEPT, False)]
    assert runs(place, script) == [*below, *inside, (PLANNED, True), (KEPT, True)]


def test_nor_is_one_of_the_same_folder_with_something_else_mounted_in_it(place: Path) -> None:
    """The working folder is the same file, by the same name, and holds another profile."""
    script = f"""
        profile=sub/cat.profile.toml
        cp -l granted/* top/sub
        mount --bind refused top/sub
        cd top
        mount --bind {place}/top {place}/top
        (cd {place}/top; RUN; RUN)
        RUN
        (cd {place}/top; RUN; RUN)"""
    inside = [(PLANNED, True), (KEPT, True)]
    assert runs(place, script) == [*inside, (PLANNED, False), *inside]
