"""What becomes of a program's changes: the list of them, and what --commit carries out."""

from __future__ import annotations

import os
import stat
import struct
import subprocess

import pytest

from harden.errors import HardenError
from harden.launch.changes import list_changes
from harden.launch.commit import commit
from harden.launch.spawn import start
from harden.model.outcome import ChangeKind
from harden.model.sandbox import SandboxSpec
from tests.sandboxes import plan_of, python, run, shell, spec_of

pytestmark = pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp")


@pytest.fixture
def work():
    """A folder of the root file system: /tmp is hidden from the host view."""
    path = os.path.join("/var/lib", f"harden-test-{os.getpid()}")
    os.mkdir(path)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def changes_of(script: str, below: str, **options: object) -> dict[str, tuple[str, str]]:
    ended = run(shell(script, **options))
    assert ended.outcome.status == 0, ended.text
    return {
        change.path.removeprefix(below): (change.kind.value, change.file_type)
        for change in ended.outcome.changes
        if change.path.startswith(below)
    }


def test_changes_are_listed_and_do_not_reach_the_host(work):
    for name in ("kept", "changed", "removed", "moved"):
        with open(f"{work}/{name}", "w") as file:
            file.write("old")
    for name in ("folder", "emptied", "replaced"):
        os.mkdir(f"{work}/{name}")
        with open(f"{work}/{name}/inside", "w") as file:
            file.write("old")
    before = subprocess.check_output(["find", work, "-printf", "%p %s %m %U\n"])
    script = f"""
        cd {work}; cat kept >/dev/null; echo new > changed; rm removed; mv moved elsewhere; echo x > new
        mkdir -p made/below; echo x > made/below/file; ln -s /etc/passwd link; mkfifo fifo
        rm -r emptied; rm -r replaced; mkdir replaced; echo x > replaced/other; chmod 700 folder
        cat changed elsewhere
    """
    assert changes_of(script, work + "/") == {
        "changed": ("modified", "file"),
        "removed": ("removed", "file"),
        "moved": ("removed", "file"),
        "elsewhere": ("created", "file"),
        "new": ("created", "file"),
        "made": ("created", "directory"),
        "made/below": ("created", "directory"),
        "made/below/file": ("created", "file"),
        "link": ("created", "symlink"),
        "fifo": ("created", "fifo"),
        "emptied": ("removed", "directory"),
        "replaced/inside": ("removed", "file"),
        "replaced/other": ("created", "file"),
        "folder": ("modified", "directory"),
    }
    assert subprocess.check_output(["find", work, "-printf", "%p %s %m %U\n"]) == before


def test_a_program_that_changes_nothing_has_no_changes():
    assert run(shell("ls -lR /etc >/dev/null; cat /etc/hosts >/dev/null")).outcome.changes == ()


def test_commit_copies_out_and_follows_no_link(work, tmp_path):
    target = tmp_path / "out"
    victim = tmp_path / "victim"
    victim.write_text("host")
    (target / work.lstrip("/")).mkdir(parents=True)
    (target / work.lstrip("/") / "link").symlink_to(victim)
    script = f"cd {work}; echo x > file; chmod 4755 file; ln -s {victim} link; mkdir d; echo y > d/e; mknod fifo p"
    ended = run(shell(script, commit=os.fsencode(target)))
    assert ended.outcome.status == 0, ended.text
    out = target / work.lstrip("/")
    assert (out / "file").read_text() == "x\n"
    assert (out / "file").stat().st_mode & 0o7777 == 0o755
    assert (out / "d/e").read_text() == "y\n"
    assert (out / "link").is_symlink()
    assert not (out / "fifo").exists()
    assert victim.read_text() == "host"


def test_names_that_are_not_text_are_changes_too(work):
    script = f"cd {work} && touch \"$(printf '\\377')\" 'new\nline' 'back\\slash' {'n' * 255}"
    assert set(changes_of(script, work + "/")) == {r"\xff", r"new\x0aline", r"back\x5cslash", "n" * 255}


DEEP = """
import os, sys
os.chdir(sys.argv[1])
for _ in range(int(sys.argv[2])):
    os.mkdir("d"); os.chdir("d")
open("last", "w").close()
"""


def deep(work: str, count: int, **options: object) -> SandboxSpec:
    return spec_of("/usr/bin/python3", "-c", DEEP, work, count, **options)


def test_deeply_nested_folders_are_listed_and_copied_out(work, tmp_path):
    ended = run(deep(work, 1500, commit=os.fsencode(tmp_path / "out")))
    assert ended.outcome.status == 0, ended.text
    paths = {change.path for change in ended.outcome.changes}
    assert f"{work}{'/d' * 1500}/last" in paths
    assert len(paths) == 1501
    found = subprocess.check_output(["find", tmp_path / "out", "-name", "last"], text=True)
    assert found.count("/d") == 1500
    subprocess.run(["rm", "-rf", tmp_path / "out"], check=True)


def test_folders_without_a_path_are_left_out_and_noted(work, tmp_path):
    spec = deep(work, 5000, commit=os.fsencode(tmp_path / "out"))
    with start(plan_of(spec), gate=False) as sandbox:
        sandbox.ready(10)
        outcome = sandbox.wait(60)
        assert outcome.status == 0
        assert 2000 < len(outcome.changes) < 2100
        assert [note.split(":")[0] for note in sandbox.notes] == [
            "--commit",
            "folders nested too deep to have a path are not in the list of changes",
        ]
    subprocess.run(["rm", "-rf", tmp_path / "out"], check=True)


def test_a_walk_needs_few_descriptors(tmp_path):
    code = (
        "import os, resource, sys\n"
        "from harden.launch.changes import list_changes\n"
        "staging = os.open(sys.argv[1], os.O_RDONLY)\n"
        "os.chdir(sys.argv[1] + '/u0')\n"
        "for _ in range(200):\n    os.mkdir('d'); os.chdir('d')\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
        "print(len(list_changes(staging, (('0', b'/no/such/place'),)).changes))\n"
    )
    (tmp_path / "u0").mkdir()
    ended = python(code, str(tmp_path))
    assert (ended.stdout, ended.stderr) == ("200\n", "")


def test_commit_goes_through_no_link_that_an_earlier_one_left(work, tmp_path):
    """First the program makes a link, which is copied out; the next time a folder of that name, with a file in it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    target = tmp_path / "out"
    options = {"commit": os.fsencode(target)}
    assert run(shell(f"ln -s {victim} {work}/d", **options)).outcome.status == 0
    copied = target / work.lstrip("/") / "d"
    assert copied.is_symlink()
    with pytest.raises(HardenError, match=f"--commit: {copied} is there already"):
        run(shell(f"mkdir {work}/d; echo x > {work}/d/file", **options))
    assert list(victim.iterdir()) == []
    copied.unlink()
    assert run(shell(f"mkdir {work}/d; echo x > {work}/d/file", **options)).outcome.status == 0
    assert (copied / "file").read_text() == "x\n"


def test_commit_goes_through_no_link_above_a_layer(work, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    target = tmp_path / "out"
    target.mkdir()
    (target / "srv").symlink_to(victim)
    (tmp_path / "u0").mkdir()
    (tmp_path / "u0/file").write_text("x")
    staging = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(HardenError, match=f"{target}/srv is there already"):
        commit(staging, (("0", b"/srv"),), os.fsencode(target))
    assert list(victim.iterdir()) == []
    (target / "srv").unlink()
    assert commit(staging, (("0", b"/srv"),), os.fsencode(target)) == ()
    os.close(staging)
    assert (target / "srv/file").read_text() == "x"


def test_commit_makes_files_anew_and_without_attributes(work, tmp_path):
    (tmp_path / "u0").mkdir()
    made = tmp_path / "u0/file"
    made.write_text("new")
    os.setxattr(made, "security.capability", struct.pack("<5I", 0x02000001, 1 << 7, 0, 0, 0))
    made.chmod(0o6755)
    target = tmp_path / "out/srv"
    target.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("old")
    (target / "file").hardlink_to(other)
    staging = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    commit(staging, (("0", b"/srv"),), os.fsencode(tmp_path / "out"))
    os.close(staging)
    assert other.read_text() == "old"
    assert (target / "file").read_text() == "new"
    assert stat.S_IMODE((target / "file").stat().st_mode) == 0o755
    assert os.listxattr(target / "file") == []


def test_a_layer_cannot_lead_the_list_astray(tmp_path):
    """A symbolic link in the upper folder is a change, not a way."""
    upper = tmp_path / "u0"
    upper.mkdir()
    (upper / "link").symlink_to("/etc")
    staging = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    (change,) = list_changes(staging, (("0", b"/no/such/place"),)).changes
    os.close(staging)
    assert (change.path, change.kind, change.file_type) == ("/no/such/place/link", ChangeKind.CREATED, "symlink")
