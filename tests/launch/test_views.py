"""What the program sees of the file system."""

from __future__ import annotations

import os
import shutil
import subprocess

import msgspec
import pytest

from harden.kernel.mountinfo import parse_mountinfo, read_mounts
from harden.launch.symlinks import resolve
from harden.model.sandbox import Bind, View
from tests.sandboxes import plan_of, python, run, run_script, shell, spec_of

pytestmark = [
    pytest.mark.every_kernel,
    pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp"),
]


@pytest.fixture
def work():
    """A folder of the root file system: /tmp is hidden from the host view."""
    path = os.path.join("/var/lib", f"harden-test-{os.getpid()}")
    os.mkdir(path)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def test_owners_are_kept_inside_and_shifted_outside(work):
    with open(f"{work}/theirs", "w") as file:
        file.write("x")
    os.chown(f"{work}/theirs", 33, 33)
    assert run_script(shell(f"stat -c %u:%g {work}/theirs / /etc/shadow")) == "33:33\n0:0\n0:42\n"


@pytest.mark.requires("idmap-tmpfs")
def test_several_host_mounts_are_overlaid(work):
    """A second file system below the root: in a mount namespace of a child, so that the host keeps its table."""
    code = (
        "import ctypes, os, sys\nwork = sys.argv[1]\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x20000) == 0\n"
        "assert libc.mount(b'none', b'/', None, 1 << 18 | 1 << 14, None) == 0\n"
        "assert libc.mount(b'second', work.encode(), b'tmpfs', 0, None) == 0\n"
        "open(work + '/old', 'w').write('old')\n"
        "os.mkdir(work + '/ro')\n"
        "assert libc.mount(b'third', (work + '/ro').encode(), b'tmpfs', 1, None) == 0\n"
        "from tests.sandboxes import run, shell\n"
        "script = f'echo new > {work}/old; echo x > /etc/harden-test; echo x > {work}/ro/x; cat {work}/old'\n"
        "ended = run(shell(script))\n"
        "print(ended.text, [(c.path.removeprefix(work), c.kind.value) for c in ended.outcome.changes])\n"
        "print(os.path.exists('/etc/harden-test'), open(work + '/old').read())\n"
    )
    ended = python(code, work)
    assert ended.returncode == 0, ended.stderr
    assert "Read-only file system" in ended.stdout
    assert ended.stdout.endswith("new\n [('/etc/harden-test', 'created'), ('/old', 'modified')]\nFalse old\n"), (
        ended.stdout
    )


def test_private_folders_are_empty_and_writable(tmp_path):
    (tmp_path / "secret").write_text("x")
    script = "ls -A /tmp /run /var/tmp /dev/shm; touch /tmp/a /run/b /var/tmp/c /dev/shm/d && echo written"
    text = run_script(shell(script))
    assert tmp_path.parts[2] not in text
    assert text.endswith("written\n")


def test_the_minimal_view_shows_what_is_named_and_nothing_else(work):
    for name in ("seen", "unseen"):
        with open(f"{work}/{name}", "w") as file:
            file.write(name)
    os.mkdir(f"{work}/folder")
    script = (
        f"cd {work}; cat seen; ls; ls /; echo x > folder/made; echo x > seen; test -e /etc/passwd || echo no passwd"
    )
    spec = shell(
        script, view=View.MINIMAL, visible=(os.fsencode(f"{work}/seen"),), writable=(os.fsencode(f"{work}/folder"),)
    )
    text = run(spec).text
    assert text.startswith("seenfolder\nseen\nbin\n")
    assert "home" not in text.split()
    assert "no passwd" in text
    assert "Read-only file system" in text
    assert open_text(f"{work}/folder/made") == "x\n"
    assert os.stat(f"{work}/folder/made").st_uid == 0


def open_text(path: str) -> str:
    with open(path) as file:
        return file.read()


def test_links_on_the_way_are_made_again(work):
    os.mkdir(f"{work}/real")
    os.symlink("real", f"{work}/alias")
    with open(f"{work}/real/file", "w") as file:
        file.write("content")
    found = resolve(os.fsencode(f"{work}/alias/file"))
    assert found is not None
    assert found.path == os.fsencode(f"{work}/real/file")
    spec = shell(f"cat {work}/alias/file", view=View.MINIMAL, visible=(os.fsencode(f"{work}/alias/file"),))
    assert run_script(spec) == "content"


def test_sockets_and_fifos_are_not_shown_unless_bound(work):
    os.mkfifo(f"{work}/fifo")
    path = os.fsencode(f"{work}/fifo")
    spec = shell(f"test -p {work}/fifo && echo there || echo not there", view=View.MINIMAL, visible=(path,))
    assert any("FIFO" in note for note in plan_of(spec).notes)
    assert run_script(spec) == "not there\n"
    bound = shell(f"test -p {work}/fifo && echo there", view=View.MINIMAL, binds=(Bind(source=path, target=path),))
    assert run_script(bound) == "there\n"


def test_folders_are_made_empty_and_writable():
    spec = shell("cd /srv/app && touch x && ls", view=View.MINIMAL, folders=(b"/srv/app",), cwd=b"/srv/app")
    assert run_script(spec) == "x\n"


@pytest.mark.requires("gcc")
def test_a_static_program_runs_in_its_own_folder(victim, work):
    """Nothing else in the folder is shown: what it makes there stays inside, and must not hide the program."""
    program = f"{work}/app/first"
    os.mkdir(f"{work}/app")
    shutil.copy(victim("static_files", static=True), program)
    with open(f"{work}/app/in", "w") as file:
        file.write("content")
    folder = os.fsencode(f"{work}/app")
    spec = spec_of(program, f"{work}/app/in", f"{work}/app", view=View.MINIMAL, cwd=folder, folders=(folder,))
    assert run(spec).outcome.status not in (0, 127)
    assert run(msgspec.structs.replace(spec, visible=(folder + b"/in",))).outcome.status == 0
    assert sorted(os.listdir(folder)) == [b"first", b"in"]


def test_links_into_and_below_made_folders_are_there(work):
    os.makedirs(f"{work}/made/real")
    os.symlink("real", f"{work}/made/alias")
    with open(f"{work}/made/real/file", "w") as file:
        file.write("content")
    paths = {"visible": (os.fsencode(f"{work}/made/alias/file"),), "folders": (os.fsencode(f"{work}/made"),)}
    script = f"cat {work}/made/alias/file; cd {work}/made; echo x > new; ls"
    assert run_script(shell(script, view=View.MINIMAL, **paths)) == "contentalias\nnew\nreal\n"
    assert sorted(os.listdir(f"{work}/made")) == ["alias", "real"]


@pytest.mark.parametrize("view", [View.HOST, View.MINIMAL])
def test_binds(view, work, tmp_path):
    (tmp_path / "file").write_text("bound")
    source = os.fsencode(tmp_path)
    spec = shell(
        "cat /opt/ro/file; touch /opt/ro/x; echo y > /opt/rw/made",
        view=view,
        binds=(Bind(source=source, target=b"/opt/ro"), Bind(source=source, target=b"/opt/rw", writable=True)),
    )
    text = run(spec).text
    assert text.startswith("bound")
    assert "Read-only file system" in text
    assert (tmp_path / "made").read_text() == "y\n"


def test_mountinfo_is_parsed_with_its_escapes():
    line = b"36 35 98:0 /a\\040b /mnt/x\\011y rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
    (mount,) = parse_mountinfo(line)
    assert (mount.root, mount.point, mount.filesystem, mount.read_only) == (b"/a b", b"/mnt/x\ty", b"ext3", False)
    assert any(mount.point == b"/" for mount in read_mounts())
