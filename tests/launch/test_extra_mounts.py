"""--tmpfs, --overlay, --bind and --rootfs: what they show, where links lead, what is missing, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess

import msgspec
import pytest

from harden.errors import ControlUnavailable, HardenError, ProgramNotFound, UsageError
from harden.launch.rootfs import find_in_root
from harden.launch.spawn import start
from harden.launch.symlinks import follow
from harden.model.isolation import Isolation, OverlayMount, TmpfsMount
from harden.model.sandbox import Bind, SandboxSpec, View
from tests.sandboxes import NOBODY, harden_run, plan_of, python, run, run_script, shell

pytestmark = pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp")

VIEWS = [View.HOST, View.MINIMAL]
USERS = [None, pytest.param(NOBODY, marks=pytest.mark.requires("nobody"))]


@pytest.fixture
def work():
    """A folder of the root file system that every user can read."""
    path = os.path.join("/var/lib", f"harden-extra-{os.getpid()}")
    os.mkdir(path, 0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def with_(script: str, view: View, **parts: object) -> SandboxSpec:
    binds = parts.pop("binds", ())
    return shell(script, view=view, binds=binds, isolation=Isolation(**parts))  # type: ignore[arg-type]


def tmpfs(target: str, size: int | None = None) -> TmpfsMount:
    return TmpfsMount(target=os.fsencode(target), size=size)


def overlay(lower: str, target: str) -> OverlayMount:
    return OverlayMount(lower=os.fsencode(lower), target=os.fsencode(target))


def bind(source: str, target: str, *, writable: bool = False) -> Bind:
    return Bind(source=os.fsencode(source), target=os.fsencode(target), writable=writable)


def output(spec: SandboxSpec, uid: int | None) -> str:
    ended = harden_run(spec, uid=uid)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", VIEWS)
def test_a_tmpfs_is_empty_writable_and_no_larger_than_asked(view, uid, work):
    script = f"ls -A {work}; df -k --output=size {work} | tail -1; echo x > {work}/new && cat {work}/new"
    open(f"{work}/theirs", "w").close()
    assert output(with_(script, view, tmpfs=(tmpfs(work, 1 << 20),)), uid).split() == ["1024", "x"]
    assert os.listdir(work) == ["theirs"]
    full = with_(f"head -c 2M /dev/zero > {work}/big", view, tmpfs=(tmpfs(work, 1 << 20),))
    assert "No space left on device" in harden_run(full, uid=uid).stderr


@pytest.mark.parametrize("view", VIEWS)
def test_a_missing_destination_is_made_with_its_parents(view):
    script = "stat -c %a /opt/a /opt/a/b; touch /opt/a/b/c/x && ls /opt/a/b/c"
    assert run_script(with_(script, view, tmpfs=(tmpfs("/opt/a/b/c"),))).split() == ["755", "755", "x"]
    assert not os.path.exists("/opt/a")


@pytest.mark.requires("nobody")
def test_a_user_is_told_where_a_destination_cannot_be_made():
    """The host's own folders are read-only for a user's view=host; in view=minimal the root is his own."""
    refused = harden_run(with_("echo ran", View.HOST, tmpfs=(tmpfs("/srv/missing/here"),)), uid=NOBODY)
    assert (refused.returncode, refused.stdout) == (125, "")
    assert refused.stderr.startswith("harden: cannot attach /srv/missing/here: mkdirat: ")
    assert output(with_("echo ran", View.MINIMAL, tmpfs=(tmpfs("/srv/missing/here"),)), NOBODY) == "ran\n"


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", VIEWS)
def test_an_overlay_takes_what_is_written_and_loses_it(view, uid, work):
    os.mkdir(f"{work}/lower")
    with open(f"{work}/lower/file", "w") as file:
        file.write("old\n")
    if uid is not None:
        subprocess.run(["chown", "-R", f"{uid}:{uid}", f"{work}/lower"], check=True)
    os.mkdir(f"{work}/place")
    script = f"cd {work}/place && cat file && echo new > file && echo x > made && cat file made"
    spec = with_(script, view, overlays=(overlay(f"{work}/lower", f"{work}/place"),))
    assert output(spec, uid).split() == ["old", "new", "x"]
    with open(f"{work}/lower/file") as file:
        assert file.read() == "old\n"
    assert os.listdir(f"{work}/lower") == ["file"]
    assert os.listdir(f"{work}/place") == []


def in_a_mount_namespace(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a child that may mount without the host's seeing it; WORK holds two file systems of memory."""
    start = (
        "import ctypes, os, sys\n"
        "from tests.launch.test_extra_mounts import *\n"
        "work = sys.argv[1]\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x20000) == 0\n"
        "assert libc.mount(b'none', b'/', None, 1 << 18 | 1 << 14, None) == 0\n"
        "assert libc.mount(b'one', work.encode(), b'tmpfs', 0, b'mode=755') == 0\n"
        "os.mkdir(work + '/inner')\n"
        "assert libc.mount(b'two', (work + '/inner').encode(), b'tmpfs', 0, b'mode=755') == 0\n"
        "open(work + '/outer-file', 'w').write('outer')\n"
        "open(work + '/inner/file', 'w').write('inner')\n"
    )
    return python(start + code, *arguments)


def test_an_overlay_of_several_mounts_shows_all_of_them(work):
    ended = in_a_mount_namespace(
        "script = 'cd /place; cat outer-file inner/file; echo a > inner/new; echo b > inner/file; cat inner/*'\n"
        "for view in VIEWS:\n"
        "    print(run_script(with_(script, view, overlays=(overlay(work, '/place'),))))\n"
        "print(sorted(os.listdir(work + '/inner')), open(work + '/inner/file').read())\n",
        work,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "outerinnerb\na\n\nouterinnerb\na\n\n['file'] inner\n"


@pytest.mark.requires("nobody")
def test_a_user_cannot_overlay_what_has_mounts_in_it_and_is_told_which(work):
    code = (
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try:\n"
        "    plan_of(with_('true', View.MINIMAL, overlays=(overlay(work, '/place'),)))\n"
        "except ControlUnavailable as error:\n"
        "    print(error.message)\n"
        "print(run_script(with_('cat /place/file', View.MINIMAL, overlays=(overlay(work + '/inner', '/place'),))))\n"
    )
    ended = in_a_mount_namespace(code, work)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        f"filesystem-view: cannot be enforced: --overlay {work}: {work}/inner is mounted below it, "
        "and only root can take the two apart\ninner\n"
    )


def test_what_cannot_be_an_overlay_is_refused():
    with pytest.raises(ControlUnavailable, match="cannot be the lower layer"):
        plan_of(with_("true", View.MINIMAL, overlays=(overlay("/proc/sys", "/place"),)))
    with pytest.raises(UsageError, match="no such folder"):
        plan_of(with_("true", View.MINIMAL, overlays=(overlay("/nowhere", "/place"),)))
    with pytest.raises(UsageError, match="the sandbox's own"):
        plan_of(with_("true", View.MINIMAL, tmpfs=(tmpfs("/"),)))


@pytest.mark.parametrize("view", VIEWS)
def test_outer_places_come_first_whatever_the_order(view, work):
    os.mkdir(f"{work}/lower")
    open(f"{work}/lower/deep", "w").close()
    spec = with_(
        "find /place -type f -o -type d | sort; touch /place/a/b/x",
        view,
        binds=(bind("/etc/hostname", "/place/a/b/c"),),
        tmpfs=(tmpfs("/place"),),
        overlays=(overlay(f"{work}/lower", "/place/a/b"),),
    )
    found = ["/place", "/place/a", "/place/a/b", "/place/a/b/c", "/place/a/b/deep"]
    assert run_script(spec).split() == found
    assert os.listdir(f"{work}/lower") == ["deep"]


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", VIEWS)
def test_links_to_a_destination_are_followed_as_the_program_would(view, uid, work):
    """/var/run is a link to /run everywhere; /bin is one into /usr where /usr is merged."""
    assert os.path.islink("/var/run")
    spec = with_("touch /run/inside/x && ls /var/run/inside", view, tmpfs=(tmpfs("/var/run/inside"),))
    assert output(spec, uid) == "x\n"
    if os.path.islink("/bin"):
        shown = with_("cat /usr/bin/login", view, binds=(bind("/etc/hostname", "/bin/login"),))
        with open("/etc/hostname") as file:
            assert output(shown, uid) == file.read()


def test_an_absolute_link_leads_within_the_view(work):
    """The link is the host's, and its target is made inside: nothing of the host's is written or hidden there."""
    os.symlink("/etc", f"{work}/alias")
    spec = with_(f"ls -A /etc; ls {work}/alias/.", View.HOST, tmpfs=(tmpfs(f"{work}/alias"),))
    assert run(spec).text == ""
    # Not shown in the minimal view, so that there is no link there either.
    plain = with_(f"test -L {work}/alias || ls -Ad {work}/alias", View.MINIMAL, tmpfs=(tmpfs(f"{work}/alias"),))
    assert run(plain).text == f"{work}/alias\n"


def test_a_link_that_appears_after_planning_stops_the_start(work):
    os.mkdir(f"{work}/folder")
    planned = plan_of(with_("echo ran", View.HOST, tmpfs=(tmpfs(f"{work}/folder/deep"),)))
    os.rmdir(f"{work}/folder")
    os.symlink("/etc", f"{work}/folder")
    with pytest.raises(HardenError, match=f"cannot attach {work}/folder/deep: "), start(planned, gate=False) as sandbox:
        sandbox.wait(20)


def test_links_in_a_circle_are_refused():
    links = {b"/a": b"b", b"/b": b"/a"}
    with pytest.raises(HardenError, match="ELOOP"):
        follow(b"/a/x", links.get)
    assert follow(b"/c/../d/./e", links.get) == b"/d/e"
    assert follow(b"/x/../../..", links.get) == b"/"


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", VIEWS)
def test_parents_that_can_only_be_searched_are_no_obstacle(view, uid, work):
    """Mode 0711: nobody can list the folder, everybody can pass."""
    os.makedirs(f"{work}/closed/open")
    with open(f"{work}/closed/open/file", "w") as file:
        file.write("content")
    os.chmod(f"{work}/closed", 0o711)
    os.mkdir(f"{work}/place")
    source, place = f"{work}/closed/open", f"{work}/place"
    assert output(with_(f"cat {place}/file", view, binds=(bind(source, place),)), uid) == "content"
    inside = with_(f"cat {source}/x/file", view, binds=(bind(source, f"{source}"), bind(source, f"{source}")))
    assert "No such file" in harden_run(inside, uid=uid).stderr
    os.chmod(f"{work}/closed", 0o700)
    if uid is not None:
        refused = harden_run(with_("echo ran", view, binds=(bind(source, place),)), uid=uid)
        assert (refused.returncode, refused.stdout) == (125, "")
        assert "cannot be reached" in refused.stderr


@pytest.fixture
def rootfs(work, victim):
    """A root file system of one static program, with an absolute link to it."""
    root = f"{work}/root"
    for folder in ("bin", "etc", "tmp", "srv", "proc", "sys", "dev"):
        os.makedirs(f"{root}/{folder}")
    busybox = shutil.which("busybox", path="/bin:/usr/bin")
    assert busybox, "apt-get install busybox-static"
    shutil.copy(busybox, f"{root}/bin/busybox")
    for name in ("sh", "cat", "ls", "touch", "id", "stat"):
        os.symlink("/bin/busybox", f"{root}/bin/{name}")
    with open(f"{root}/etc/name", "w") as file:
        file.write("the other root\n")
    return root


def in_root(rootfs: str, script: str, view: View, **changes: object) -> SandboxSpec:
    spec = shell(script, view=view, isolation=Isolation(rootfs=os.fsencode(rootfs)), **changes)
    return msgspec.structs.replace(spec, program=b"/bin/sh")


@pytest.mark.requires("busybox")
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", VIEWS)
def test_another_root_file_system_is_all_that_is_seen(view, uid, rootfs):
    script = "cat /etc/name; ls /; test -e /etc/passwd || echo no host; ls /proc/self/fd >/dev/null && echo own proc"
    text = output(in_root(rootfs, script, view), uid)
    assert text.split("\n")[0] == "the other root"
    assert text.split()[3:] == [
        *("bin", "dev", "etc", "proc", "run", "srv", "sys", "tmp", "var"),
        *("no", "host", "own", "proc"),
    ]
    assert not os.path.exists(f"{rootfs}/var")


@pytest.mark.requires("busybox")
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_written_reaches_another_root(view, rootfs):
    ended = run(in_root(rootfs, "echo x > /etc/new; touch /tmp/y && echo tmp", view))
    assert ended.text.endswith("tmp\n")
    assert ("Read-only file system" in ended.text) == (view is View.MINIMAL)
    assert sorted(os.listdir(f"{rootfs}/etc")) == ["name"]
    changed = [change.path for change in ended.outcome.changes]
    assert changed == ([f"{rootfs}/etc/new"] if view is View.HOST else [])


@pytest.mark.requires("busybox")
def test_what_a_profile_grants_is_written_in_another_root(rootfs):
    spec = in_root(rootfs, "echo x > /srv/made; echo y > /etc/no", View.MINIMAL, writable=(b"/srv",))
    assert "Read-only file system" in run(spec).text
    assert os.listdir(f"{rootfs}/srv") == ["made"]
    assert sorted(os.listdir(f"{rootfs}/etc")) == ["name"]


@pytest.mark.requires("busybox")
@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_root_whose_kernel_folders_are_links_is_refused(name, rootfs):
    """CVE-2019-19921, CVE-2026-41579: the mounts of /proc, /sys and /dev would land where the link says."""
    assert run(in_root(rootfs, "true", View.HOST)).outcome.status == 0
    os.rmdir(f"{rootfs}/{name}")
    os.mkdir(f"{rootfs}/elsewhere")
    os.symlink("/elsewhere", f"{rootfs}/{name}")
    with pytest.raises(HardenError, match=f"/{name}.*ELOOP"):
        run(in_root(rootfs, "true", View.HOST))


@pytest.mark.requires("busybox")
def test_programs_are_found_in_the_other_root(rootfs):
    root = os.fsencode(rootfs)
    assert find_in_root("sh", rootfs=root, cwd="/", path=None) == "/bin/sh"
    assert find_in_root("./sh", rootfs=root, cwd="/bin", path=None) == "/bin/sh"
    with pytest.raises(ProgramNotFound):
        find_in_root("python3", rootfs=root, cwd="/", path=None)
    os.symlink("/../../../../usr/bin/id", f"{rootfs}/bin/out")
    with pytest.raises(ProgramNotFound):
        find_in_root("out", rootfs=root, cwd="/", path=None)
