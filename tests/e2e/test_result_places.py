"""What `harden run` writes about a run goes where the command line says, wherever the program would like it to go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harden.model.document import parse_json
from harden.model.end_report import REPORT_FORMAT, Ending, EndReport
from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "busybox")

PROFILE = ("-p", "app.profile.toml")
OPTIONS = ["--report", "--enforced-json"]
EXCHANGE = (
    "echo forged > /w/out.json; echo forged > /w/twin; test -L /w/inner || { rmdir /w/inner; ln -s %s /w/inner; }"
)
FORGE = "cd /data; mv app old; mkdir app; echo forged > app/out.json; echo forged > out.json; exit 9"
RIGHTS = """\
format = "harden-local/1"
[add.files]
"/data" = "stat list"
"/data/**" = "read write create unlink truncate stat list mkdir rmdir refer"
"""


def ending(path: Path) -> Ending:
    return parse_json(path.read_bytes(), EndReport, format=REPORT_FORMAT, file=str(path)).ending


@pytest.fixture
def exchanged(tmp_path: Path) -> Path:
    """A program may write into `own`, where it has put a link to `victim` in place of the folder `inner`."""
    (tmp_path / "own/inner").mkdir(parents=True)
    (tmp_path / "victim").mkdir()
    for name in ("own", "own/inner"):
        (tmp_path / name).chmod(0o777)
    bind = ("--bind", f"{tmp_path}/own:/w:rw")
    harden("trace", "--name", "app", *bind, "--", "busybox", "sh", "-c", EXCHANGE % f"{tmp_path}/victim", cwd=tmp_path)
    assert os.readlink(tmp_path / "own/inner") == f"{tmp_path}/victim"
    (tmp_path / "own/out.json").unlink()
    (tmp_path / "victim/out.json").write_text("")
    (tmp_path / "victim/kept").write_text("precious\n")
    return tmp_path


def state(folder: Path) -> list[tuple[str, int, bytes]]:
    return [(path.name, path.stat().st_ino, path.read_bytes()) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["out.json", "kept", "new"])
def test_a_link_that_the_program_made_leads_to_no_file_of_the_host(exchanged, option, name):
    before = state(exchanged / "victim")
    for command in ((), ("--", "no-such-program")):
        refused = harden("run", *PROFILE, option, f"own/inner/{name}", *command, cwd=exchanged, check=False)
        assert (refused.returncode, refused.stdout) == (125, "")
    refused = harden("run", *PROFILE, option, f"own/inner/{name}", cwd=exchanged, check=False)
    assert f"check who made the symbolic link {exchanged}/own/inner" in refused.stderr
    no_profile = harden("run", "-p", "no.profile.toml", option, f"own/inner/{name}", cwd=exchanged, check=False)
    assert no_profile.returncode == 125
    assert state(exchanged / "victim") == before


def test_nor_does_the_way_up_from_it(exchanged):
    before = state(exchanged / "victim")
    (exchanged / "victim/deep").mkdir()
    (exchanged / "own/inner").unlink()
    (exchanged / "own/inner").symlink_to("../victim/deep")
    refused = harden("run", *PROFILE, "--enforced-json", "own/inner/../kept", cwd=exchanged, check=False)
    assert refused.returncode == 125
    (exchanged / "victim/deep").rmdir()
    assert state(exchanged / "victim") == before


@pytest.mark.parametrize("option", OPTIONS)
def test_a_link_of_the_host_is_followed(exchanged, option):
    """Elsewhere, and into what the program writes: the file is out of its reach there too."""
    (exchanged / "links").mkdir()
    for name, target in (("away", exchanged / "victim"), ("back", Path("../own"))):
        (exchanged / "links" / name).symlink_to(target)
        (exchanged / "own/twin").unlink()
        (exchanged / "own/out.json").unlink(missing_ok=True)
        done = harden("run", *PROFILE, option, f"links/{name}/out.json", cwd=exchanged)
        assert (exchanged / "links" / name / "out.json").read_text().startswith('{"format":"harden-')
        assert (exchanged / "own/twin").read_text() == "forged\n"
    assert "Read-only file system" in done.stderr


def test_behind_a_link_of_the_host_too_a_report_tells_why_nothing_was_started(exchanged):
    (exchanged / "link").symlink_to("victim")
    report = ("--report", "link/out.json")
    for wrong, status in ((("--", "no-such-program"), 127), (("--apparmor", "no-such-label"), 125)):
        assert harden("run", *PROFILE, *report, cwd=exchanged).returncode == 0
        assert ending(exchanged / "victim/out.json") is Ending.EXITED
        assert harden("run", *PROFILE, *report, *wrong, cwd=exchanged, check=False).returncode == status
        assert ending(exchanged / "victim/out.json") is Ending.NOT_STARTED


@pytest.mark.parametrize("command", ["run", "trace", "verify"])
def test_a_link_that_the_program_made_leads_to_no_profile(exchanged, command):
    """Whoever chooses the folder of its profile chooses what it may do, and what of the host is written."""
    shutil.copy(exchanged / "app.profile.toml", exchanged / "victim")
    before = state(exchanged / "victim")
    given: tuple[str, ...] = ("-p", "own/inner/app.profile.toml")
    if command == "trace":
        bind = ("--bind", f"{exchanged}/own:/w:rw")
        given = ("--name", "app", "--out", "own/inner", *bind, "--", "busybox", "true")
    refused = harden(command, *given, cwd=exchanged, check=False)
    assert (refused.returncode, "holds the folder of its own profile" in refused.stderr) == (125, True)
    assert state(exchanged / "victim") == before
    (exchanged / "link").symlink_to("victim")
    given = tuple(word.replace("own/inner", "link") for word in given)
    # verify: 3 where the host cannot enforce what a profile prefers.
    assert harden(command, *given, cwd=exchanged, check=False).returncode in (0, 3)


@pytest.mark.parametrize("given", [("--out", "%s/new"), ("--commit", "%s"), ("--commit", "%s/new")])
def test_nor_to_a_folder_that_trace_makes_or_fills(exchanged, given):
    """Neither one that is exchanged already nor one that would be in this run: what is copied is the program's work."""
    program = "rmdir /w/deep /w/made 2>/dev/null; ln -s %s /w/deep; mkdir /etc/left; echo x > /etc/left/file"
    command = ("--", "busybox", "sh", "-c", program % (exchanged / "victim"))
    before = state(exchanged / "victim")
    (exchanged / "own/deep").mkdir()
    options = ("--name", "app", "--force", "--bind", f"{exchanged}/own:/w:rw")
    for place in ("own/inner", "own/deep", "own/made"):
        option = [word.replace("%s", place) for word in given]
        refused = harden("trace", *options, *option, *command, cwd=exchanged, check=False)
        assert (refused.returncode, "the program may write into" in refused.stderr) == (125, True)
    assert (state(exchanged / "victim"), (exchanged / "own/made").exists()) == (before, False)
    (exchanged / "link").symlink_to("victim")
    for place in ("link", "other"):
        option = [word.replace("%s", place) for word in given]
        assert harden("trace", *options, *option, *command, cwd=exchanged).returncode == 0
        (exchanged / "own/deep").unlink()
        made = "etc/left/file" if given[0] == "--commit" else "app.profile.toml"
        assert (exchanged / option[1] / made).exists()


def test_nor_to_a_scenario(exchanged):
    """Its helper commands are under no filter."""
    (exchanged / "victim/app.scenario.toml").write_text('format = "harden-scenario/1"\ncommand = ["busybox", "true"]\n')
    (exchanged / "link").symlink_to("victim")
    done = harden("verify", *PROFILE, "--scenario", "own/inner/app.scenario.toml", cwd=exchanged, check=False)
    assert (done.returncode, "through which" in done.stderr) == (125, True)
    done = harden("verify", *PROFILE, "--scenario", "link/app.scenario.toml", cwd=exchanged, check=False)
    assert done.returncode in (0, 1, 3)


@pytest.fixture
def other_root(tmp_path: Path) -> Path:
    """Another root file system, in whose /data a program may do what it likes."""
    root = tmp_path / "root"
    for name in ("bin", "data/app", "proc", "sys", "dev", "other"):
        (root / name).mkdir(parents=True)
    for name in ("data", "data/app"):
        (root / name).chmod(0o777)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "mv", "mkdir"):
        (root / "bin" / name).symlink_to("busybox")
    command = ("--rootfs", "root", "--", "/bin/sh", "-c", f"({FORGE}); mv /data/old /data/new; exit 0")
    harden("trace", "--name", "app", *command, cwd=tmp_path)
    (tmp_path / "app.local.toml").write_text(RIGHTS)
    return tmp_path


@pytest.mark.parametrize("option", OPTIONS)
def test_in_another_root_too_the_program_forges_no_result(other_root, option):
    attack = ("--", "/bin/sh", "-c", FORGE)
    refused = harden("run", *PROFILE, option, "root/data/app/out.json", *attack, cwd=other_root, check=False)
    assert (refused.returncode, "through which" in refused.stderr) == (125, True)
    assert not (other_root / "root/data/old").exists()
    done = harden("run", *PROFILE, option, "root/data/out.json", *attack, cwd=other_root, check=False)
    assert (done.returncode, "Read-only file system" in done.stderr) == (9, True)
    assert "forged" not in (other_root / "root/data/out.json").read_text()
    # The positive twins: the program does all that where no result is, and a result can be where it may not write.
    assert (other_root / "root/data/app/out.json").read_text() == "forged\n"
    (other_root / "root/data/out.json").unlink()
    shutil.rmtree(other_root / "root/data/old")
    done = harden("run", *PROFILE, option, "root/other/out.json", *attack, cwd=other_root, check=False)
    assert (done.returncode, done.stderr) == (9, "")
    assert (other_root / "root/data/out.json").read_text() == "forged\n"
    assert b"harden-" in (other_root / "root/other/out.json").read_bytes()
