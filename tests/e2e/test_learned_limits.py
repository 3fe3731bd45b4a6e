"""What recorded runs peaked at is what the program may take when it runs again."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import compile_victim
from tests.e2e.jobs import HARDEN, harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "gcc")

LITTLE = ("open 9", "fork 2", "memory 8")
PROFILE = "hungry.profile.toml"


class Hungry:
    """A program that takes what a file says, traced while it took little."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wish(*LITTLE)
        self.harden("trace", "--name", "hungry", "--", str(compile_victim("hungry")), "wishes", check=True)

    def wish(self, *lines: str) -> None:
        (self.folder / "wishes").write_text("\n".join(lines) + "\n")

    def control(self, **controls: str) -> None:
        lines = [f'{name} = "{wanted}"' for name, wanted in controls.items()]
        (self.folder / "hungry.local.toml").write_text(
            "\n".join(['format = "harden-local/1"', "[controls]", *lines, ""])
        )

    def harden(self, *words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return harden(*words, cwd=self.folder, check=check)

    def enforced(self) -> tuple[str, dict[str, dict[str, Any]]]:
        document = json.loads((self.folder / "enforced.json").read_text())
        return document["result"], {each["control"]: each for each in document["controls"]}

    def limits(self) -> dict[str, Any]:
        limits: dict[str, Any] = tomllib.loads((self.folder / PROFILE).read_text())["rights"]["limits"]["observed"]
        return limits


@pytest.fixture
def hungry(tmp_path: Path) -> Hungry:
    return Hungry(tmp_path)


def test_the_profile_has_the_limits_and_the_program_still_works(hungry):
    assert hungry.limits() == {"memory": "64M", "nofile": 1024, "pids": 64}
    done = hungry.harden("run")
    assert (done.returncode, done.stdout) == (0, "open: 9 ok\nfork: 2 ok\nmemory: 8 ok\n")


def test_open_files_are_limited_everywhere(hungry):
    hungry.wish("open 1020", "open 1100")
    done = hungry.harden("run", "--enforced-json", "enforced.json")
    assert done.stdout == "open: 1020 ok\nopen: 1020 EMFILE\n"
    assert "nofile 1024 of 1024" in hungry.enforced()[1]["rlimits"]["value"]


def test_the_command_line_comes_before_what_was_learned(hungry):
    hungry.wish("open 1100")
    assert hungry.harden("run", "--rlimit", "nofile=2000").stdout == "open: 1100 ok\n"


def test_a_person_comes_before_what_was_learned(hungry):
    hungry.wish("open 1100")
    (hungry.folder / "hungry.local.toml").write_text('format = "harden-local/1"\nadd.limits.nofile = 20\n')
    assert hungry.harden("run").stdout == "open: 16 EMFILE\n"
    (hungry.folder / "hungry.local.toml").write_text('format = "harden-local/1"\nremove.limits = ["nofile"]\n')
    assert hungry.harden("run").stdout == "open: 1100 ok\n"
    hungry.control(rlimits="off")
    assert hungry.harden("run").stdout == "open: 1100 ok\n"


def test_a_lower_limit_of_hardens_own_is_taken_and_a_kept_plan_is_not(hungry):
    hungry.wish("open 50")
    for _ in range(2):
        assert hungry.harden("run").stdout == "open: 50 ok\n"
    words = ("sh", "-c", 'ulimit -n 48; exec "$@"', "sh", str(HARDEN), "run")
    done = subprocess.run(words, cwd=hungry.folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "open: 44 EMFILE\n"
    assert "nofile is 48, the hard limit of harden itself" in done.stderr


def test_a_program_that_sets_a_limit_itself_still_can(tmp_path):
    victim = str(compile_victim("descriptors"))
    for words in (("limit", "5000"), ("all",)):
        folder = tmp_path / words[0]
        folder.mkdir()
        harden("trace", "--name", "app", "--", victim, *words, cwd=folder)
        text = (folder / "app.profile.toml").read_text()
        assert ("nofile = 5000" in text) == (words[0] == "limit")
        assert harden("run", cwd=folder).returncode == 0


@pytest.mark.requires("cgroup1-memory")
def test_what_cgroup_v2_cannot_limit_is_reported_and_stops_nothing(hungry):
    done = hungry.harden("run", "--enforced-json", "enforced.json")
    assert (done.returncode, done.stderr) == (0, "")
    result, controls = hungry.enforced()
    assert result == "PARTIALLY_ENFORCED"
    assert controls["memory"]["enforcement"] == controls["pids"]["enforcement"] == "NOT_ENFORCED"
    assert controls["memory"]["reason"].startswith("the memory controller is on cgroup v1")
    verified = hungry.harden("verify")
    assert verified.returncode == 3
    assert "memory: the memory controller is on cgroup v1" in verified.stdout
    hungry.control(memory="preferred")
    assert "memory is not limited: the memory controller is on cgroup v1" in hungry.harden("run").stderr


@pytest.mark.requires("cgroup1-memory")
def test_a_limit_that_is_required_stops_the_start(hungry):
    hungry.control(memory="required")
    done = hungry.harden("run")
    assert (done.returncode, done.stdout) == (125, "")
    assert "memory: cannot be enforced: the memory controller is on cgroup v1" in done.stderr
    assert hungry.harden("run", "--allow-degraded", "memory").returncode == 0
    hungry.control(memory="off", pids="off")
    assert "limited" not in hungry.harden("run").stderr


def verified(hungry: Hungry) -> tuple[int, dict[str, dict[str, Any]]]:
    done = hungry.harden("verify", "--json")
    return done.returncode, {each["control"]: each for each in json.loads(done.stdout)["denials"]}


def test_refused_files_are_listed_and_refine_raises_the_limit_until_it_is_enough(hungry):
    hungry.wish("open 3000")
    status, denials = verified(hungry)
    assert (status, list(denials)) == (1, ["rlimits"])
    assert (denials["rlimits"]["call"], denials["rlimits"]["result"]) == ("openat", "EMFILE")
    assert denials["rlimits"]["rule"] == ["add.limits.nofile = 2048"]
    done = hungry.harden("refine", "--yes")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    local = tomllib.loads((hungry.folder / "hungry.local.toml").read_text())
    assert local["refined"] == {"limits": {"nofile": 4096}}
    assert hungry.harden("run").stdout == "open: 3000 ok\n"


@pytest.mark.requires("cgroup2-memory", "cgroup2-pids", "apparmor")
def test_everything_is_in_force_where_cgroup_v2_has_the_controllers(hungry):
    peaks = json.loads((hungry.folder / "hungry.recording.json").read_text())["runs"][0]["peaks"]
    assert peaks["memory_cgroup_bytes"] >= 8 << 20
    assert "memory_tree_bytes" not in peaks
    assert peaks["pids"] == 3
    for _ in range(3):
        done = hungry.harden("run", "--enforced-json", "enforced.json")
        assert done.stdout == "open: 9 ok\nfork: 2 ok\nmemory: 8 ok\n"
        controls = hungry.enforced()[1]
        assert {controls[name]["enforcement"] for name in ("memory", "pids", "rlimits")} == {"FULLY_ENFORCED"}
    assert verified(hungry)[0] in (0, 3)


@pytest.mark.requires("cgroup2-pids")
def test_a_fork_bomb_is_refused_listed_and_raised(hungry):
    hungry.wish("fork 140")
    done = hungry.harden("run")
    assert done.stdout == "fork: 63 EAGAIN\n"
    status, denials = verified(hungry)
    assert (status, list(denials)) == (1, ["pids"])
    assert (denials["pids"]["call"], denials["pids"]["result"]) == ("clone", "EAGAIN")
    assert hungry.harden("refine", "--yes").returncode in (0, 3)
    assert hungry.harden("run").stdout == "fork: 140 ok\n"


@pytest.mark.requires("cgroup2-memory")
def test_a_memory_hog_is_killed_and_listed(hungry):
    hungry.wish("memory 200")
    done = hungry.harden("run")
    assert (done.returncode, done.stdout) == (137, "")
    assert "memory: the kernel killed" in done.stderr
    status, denials = verified(hungry)
    assert (status, denials["memory"]["result"]) == (1, "SIGKILL")
    assert hungry.harden("run", "--memory", "512M").stdout == "memory: 200 ok\n"
