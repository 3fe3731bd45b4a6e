"""Nobody but harden writes kept plans, and a start from one refuses and tells what planning would."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from typing import Any

import pytest

from harden.errors import HardenError
from harden.folder_guard import guards
from harden.model.sandbox import Bind, SandboxSpec
from tests.launch.test_plan_cache import COMMAND, ENVIRONMENT, run
from tests.sandboxes import ROOT, shell

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap")


@pytest.mark.parametrize("user", ["", "user/0/"])
@pytest.mark.parametrize("name", ["", "harden", "harden/plans"])
def test_no_program_may_write_where_plans_are_kept(name, user, tmp_path):
    """In a user's folder, too, where this start has no $XDG_RUNTIME_DIR and his next one may have it."""

    def spec(path: str) -> SandboxSpec:
        return shell("true", binds=(Bind(source=os.fsencode(path).rstrip(b"/"), target=b"/mnt", writable=True),))

    with pytest.raises(HardenError, match="harden keeps its plans"):
        guards(tmp_path, spec(f"/run/{user}{name}"))
    assert guards(tmp_path, spec(f"/run/{user}app")) == ()


def test_a_program_whose_name_is_that_of_a_module_is_looked_at_too(tmp_path):
    program = tmp_path / "tool.py"
    program.write_text("#!/bin/sh\necho one\n")
    program.chmod(0o755)
    subprocess.run([COMMAND, "trace", "--name", "tool", "--", program], cwd=tmp_path, env=ENVIRONMENT, check=True)
    deadline = time.monotonic() + 30
    # A file that was changed just now is not relied on.
    while not run(tmp_path).warm:
        assert time.monotonic() < deadline
    program.write_text("#!/bin/sh\necho two\n")
    start = run(tmp_path)
    assert (start.warm, start.output) == (False, "two\n")
    assert "tool.py is not the file that was recorded" in start.said


def test_a_kept_plan_is_not_started_with_a_folder_as_a_stream(tmp_path):
    """Its ".." is the host's: with Python in between it would not get this far."""
    traced = [COMMAND, "trace", "--name", "echo", "--", "/bin/echo", "one"]
    subprocess.run(traced, cwd=tmp_path, env=ENVIRONMENT, check=True)
    run(tmp_path)
    assert run(tmp_path).warm
    for name in ("stdin", "stdout", "stderr"):
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        streams[name] = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        ended = subprocess.run([COMMAND, "run"], cwd=tmp_path, env=ENVIRONMENT, check=False, **streams)
        os.close(streams[name])
        assert ended.returncode == 125
    assert run(tmp_path).output == "one\n"


@pytest.mark.parametrize("target", ["/dev/zero", "/proc/self/pagemap", "fifo"])
@pytest.mark.parametrize("name", ["z.profile.toml", "z.local.toml"])
def test_a_profile_without_end_is_refused_before_it_is_read(name, target, tmp_path):
    """It is a question of the plan that is to be kept, and asked before the file is refused."""
    os.mkfifo(tmp_path / "fifo")
    shutil.copy(ROOT / "profiles/shipped/redis/redis.profile.toml", tmp_path / "z.profile.toml")
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).symlink_to(target)
    for start in ("z.profile.toml", "/proc/self/cwd/z.profile.toml"):
        for trust, why in (([], f"{name}: is a symbolic link"), (["--trust"], f"{name}: is ")):
            ended = subprocess.run(
                [COMMAND, "run", "--plan", *trust, "-p", start],
                cwd=tmp_path,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                check=False,
                timeout=20,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30)),
            )
            assert (ended.returncode, why in ended.stderr) == (125, True), ended.stderr
