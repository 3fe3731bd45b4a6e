"""Attacks on the policy itself: the profile's files, its name, and the words that become options."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from harden.errors import HardenError, UsageError
from harden.folder import ProfileFiles
from harden.folder_guard import guards
from harden.kernel.cgroupfs import make_cgroup
from harden.model.sandbox import SandboxSpec
from tests.e2e.jobs import HARDEN, harden
from tests.escape.attempts import USERS, attack_bare, done, launch, read_attempts, spec_for
from tests.sandboxes import features, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc")

FILES = ("app.profile.toml", "app.local.toml", "app.recording.json")


@pytest.fixture
def folder(place: Path) -> Path:
    """A folder that the program may write to, with the profile that it runs under."""
    path = place / "app"
    path.mkdir()
    path.chmod(0o777)
    for name in (*FILES, "plain"):
        (path / name).write_text(f"this is {name}\n")
        (path / name).chmod(0o666)
        os.chown(path / name, 65534, 65534)
    return path


def guarded(program: Path, folder: Path, name: str) -> SandboxSpec:
    spec = spec_for(program, folder / name, writable=(os.fsencode(folder),))
    return replace(spec, binds=(*spec.binds, *guards(folder, spec)))


@pytest.mark.attack(44)
@pytest.mark.proves("own profile out of reach")
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("name", FILES)
def test_a_program_cannot_change_its_own_profile(victim, folder, uid, name):
    """Not by any call, although the file and its folder are its own to write."""
    status, text = launch(guarded(victim("attack_file", static=True), folder, name), uid)
    attempts = read_attempts(text)
    assert status == 0, text
    assert done(attempts, but=("make", "remove-own")) == set()
    assert len(attempts) > 12
    assert (folder / name).read_text() == f"this is {name}\n"


@pytest.mark.attack(44)
@pytest.mark.parametrize("uid", USERS)
def test_the_twin_beside_it_can_be_changed(victim, folder, uid):
    program = victim("attack_file", static=True)
    status, text = launch(guarded(program, folder, "plain"), uid)
    assert (status, read_attempts(text)) == (0, {"make": "done", "write": "done"})
    assert attack_bare(program, folder / FILES[0])["write"] == "done"


@pytest.mark.attack(44)
def test_the_folder_above_a_profile_is_not_writable(victim, folder):
    """It could exchange the whole folder."""
    spec = spec_for(victim("attack_file", static=True), folder / "plain", writable=(os.fsencode(folder.parent),))
    with pytest.raises(HardenError, match="holds the folder of its own profile"):
        guards(folder, spec)


NO_NAMES = ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\nb", "a\x1b[2J", "a\0", "a\u202eb"]


@pytest.mark.attack(43)
@pytest.mark.parametrize("name", NO_NAMES)
def test_a_profile_name_is_a_plain_file_name(tmp_path, name):
    with pytest.raises(UsageError, match="no plain file name"):
        ProfileFiles.named(tmp_path, name)
    assert ProfileFiles.named(tmp_path, "a.b-c_1").profile == tmp_path / "a.b-c_1.profile.toml"


@pytest.mark.attack(43)
@pytest.mark.requires("cgroup2")
def test_the_name_of_a_cgroup_is_drawn():
    base = features().cgroup
    assert base is not None
    cgroups = [make_cgroup(base) for _ in range(3)]
    try:
        assert len({cgroup.name for cgroup in cgroups}) == 3
        assert all(re.fullmatch("harden-[0-9a-f]{12}", cgroup.name) for cgroup in cgroups)
    finally:
        for cgroup in cgroups:
            cgroup.remove()
            cgroup.close()


WORDS = (
    "--allow-degraded=seccomp",
    "--userns=host",
    "-p",
    "/etc/passwd",
    "--",
    "",
    "a\nb",
    "$(id)",
    "`id`",
    ";id",
    "\xff",
)


@pytest.mark.attack(45)
@pytest.mark.parametrize("uid", USERS)
def test_words_of_the_program_stay_its_words(uid):
    """Arguments are data in the plan, never text that somebody takes apart again."""
    status, text = launch(spec_for("/usr/bin/printf", "%s|", *WORDS), uid)
    assert (status, text) == (0, "|".join(WORDS) + "|")


@pytest.mark.attack(45)
def test_a_word_cannot_end_early():
    with pytest.raises(UsageError, match="NUL byte"):
        launch(shell("true\0--userns=host"), None)
    assert launch(shell("true"), None)[0] == 0


@pytest.mark.attack(45)
@pytest.mark.requires("bpf", "cgroup2", "landlock")
def test_options_after_the_program_are_the_programs(tmp_path):
    traced = harden("trace", "--name", "say", "--", "/bin/echo", "--net=host", "--userns=host", "--help", cwd=tmp_path)
    assert traced.stdout == "--net=host --userns=host --help\n"
    text = (tmp_path / "say.profile.toml").read_text()
    assert 'network = "host"' not in text
    assert 'user_namespace = "host"' not in text
    ran = harden("run", "--", "/bin/echo", "-p", "/etc/passwd", "--allow-degraded=seccomp", cwd=tmp_path)
    assert ran.stdout == "-p /etc/passwd --allow-degraded=seccomp\n"


@pytest.mark.attack(45)
def test_the_twin_option_before_the_program_is_hardens(tmp_path):
    refused = harden("trace", "--net=wrong", "--", "/bin/echo", cwd=tmp_path, check=False)
    assert (refused.returncode, refused.stdout) == (125, "")


@pytest.mark.attack(44)
@pytest.mark.requires("bpf")
@pytest.mark.parametrize("option", ["--bind", "--overlay"])
def test_a_link_in_place_of_what_a_stored_option_shows(option):
    """The program may write to the folder that holds it, and would choose what the next start shows it."""
    with tempfile.TemporaryDirectory(prefix="harden-stored-", dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "own/shown").mkdir(parents=True)
        (folder / "own/shown/hostname").write_text("own\n")
        given = ("--bind", f"{folder}/own:/own:rw", option, f"{folder}/own/shown:/shown")
        script = "read word < /shown/hostname; echo $word"
        command = ("trace", "--name", "app", "--out", f"{folder}/out", *given, "--", "/bin/sh", "-c", script)
        traced = subprocess.run([HARDEN, *command], cwd="/", capture_output=True, text=True, check=False)
        assert traced.stdout == "own\n", traced.stderr
        again = [str(HARDEN), "run", "-p", f"{folder}/out/app.profile.toml"]
        assert subprocess.run(again, cwd="/", capture_output=True, text=True, check=False).stdout == "own\n"
        (folder / "own/shown").rename(folder / "own/gone")
        (folder / "own/shown").symlink_to("/etc")
        stolen = subprocess.run(again, cwd="/", capture_output=True, text=True, check=False)
        assert (stolen.returncode, stolen.stdout) == (125, "")
        assert "is a symbolic link to /etc in a folder that the program may write to" in stolen.stderr
