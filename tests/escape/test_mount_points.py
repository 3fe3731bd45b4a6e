"""Attacks on where mounts come from and where they go: exchanged, linked and swapped paths."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from harden.errors import HardenError, UsageError
from harden.launch.ops import Code, Op, Stage, op
from harden.launch.plan import Plan
from harden.launch.spawn import start
from harden.model.sandbox import Bind, SandboxSpec, View
from tests.escape.attempts import LAUNCHES, USERS, VIEWS, launch
from tests.sandboxes import plan_of, run_script, shell, spec_of

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody")


@pytest.fixture
def work(place: Path) -> Path:
    """own/ is the program's, secret/ the host's; own/real is a folder, own/link leads to secret/."""
    for folder in (place / "own", place / "own/real", place / "secret"):
        folder.mkdir()
        folder.chmod(0o777)
    (place / "own/real/file").write_text("its own\n")
    (place / "own/real/point").touch()
    (place / "secret/file").write_text("of the host\n")
    (place / "own/link").symlink_to(place / "secret")
    return place


@contextmanager
def exchanging(program: Path, own: Path) -> Iterator[subprocess.Popen[str]]:
    """own/real and own/link change places all the time."""
    racer = subprocess.Popen([program, own / "real", own / "link"], stdout=subprocess.PIPE, text=True)
    assert racer.stdout is not None
    assert racer.stdout.readline() == "ready\n"
    try:
        yield racer
        assert racer.poll() is None
    finally:
        racer.kill()
        racer.communicate()


def outcome(spec: SandboxSpec, uid: int | None) -> str:
    """What the program read, or "refused" with a sentence: never anything else."""
    try:
        status, text = launch(spec, uid)
    except HardenError:
        return "refused"
    assert status == 0 or (status == 125 and text.startswith("harden: ")), text
    return text if status == 0 else "refused"


def racing_spec(work: Path) -> SandboxSpec:
    """The exchanged name is a source, the folder of a target, and the working folder of a program that owns it."""
    own = os.fsencode(work / "own")
    return shell(
        "cat /data/file",
        view=View.MINIMAL,
        writable=(own,),
        binds=(
            Bind(source=own + b"/real", target=b"/data"),
            Bind(source=b"/etc/hostname", target=own + b"/real/point"),
        ),
    )


@pytest.mark.attack(5, 9)
@pytest.mark.proves("mounts by descriptor")
@pytest.mark.requires("gcc")
@pytest.mark.parametrize("uid", USERS)
def test_an_exchanged_name_never_leads_to_the_host(victim, work, uid):
    program = victim("attack_swap", static=True)
    launches = LAUNCHES if uid is None else max(3, LAUNCHES // 20)
    with exchanging(program, work / "own"):
        seen = [outcome(racing_spec(work), uid) for _ in range(launches)]
    assert set(seen) <= {"its own\n", "refused"}
    assert sorted(path.name for path in (work / "secret").iterdir()) == ["file"]
    # The twin: with nobody racing it is what was asked for.
    if (work / "own/real").is_symlink():
        (work / "own/real").rename(work / "own/x")
        (work / "own/link").rename(work / "own/real")
    assert outcome(racing_spec(work), uid) == "its own\n"


@pytest.mark.attack(5, 9)
@pytest.mark.requires("gcc")
def test_the_twin_that_goes_by_names_is_led_to_the_host(victim, work):
    path, deadline = work / "own/real/file", time.monotonic() + 30
    with exchanging(victim("attack_swap", static=True), work / "own"):
        while time.monotonic() < deadline:
            if not path.parent.is_symlink() and path.read_text() == "of the host\n":
                break
    assert time.monotonic() < deadline


def with_link(planned: Plan, link: bytes, to: bytes) -> Plan:
    """The same plan on a root in which `link` is a symbolic link already."""
    at = next(index for index, step in enumerate(planned.ops) if step.code is Code.ROOT) + 1
    made: Op = op(Stage.INIT, Code.SYMLINK, f"find the link {link!r}", strings=(to, link))
    return replace(planned, ops=(*planned.ops[:at], made, *planned.ops[at:]))


@pytest.mark.attack(6, 7)
@pytest.mark.parametrize("link", [b"/proc", b"/sys", b"/dev", b"/tmp", b"/run", b"/usr"])
def test_a_root_whose_kernel_folder_is_a_link_is_refused(link):
    planned = plan_of(shell("echo started", view=View.MINIMAL))
    with (
        start(with_link(planned, link, b"/var/elsewhere"), gate=False) as sandbox,
        pytest.raises(HardenError, match=f"{os.fsdecode(link)}.*(ELOOP|ENOTDIR|EXDEV)"),
    ):
        sandbox.wait(10)
    # The twin: a link that nothing is mounted at.
    with start(with_link(planned, b"/other", b"/var/elsewhere"), gate=False) as sandbox:
        assert sandbox.wait(10).status == 0


@pytest.mark.attack(8, 10)
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("below", [b"", b"/b/c"])
def test_no_mount_point_is_made_through_a_link(work, uid, below):
    own = os.fsencode(work / "own")

    def at(name: bytes) -> SandboxSpec:
        bind = Bind(source=b"/etc/hostname", target=own + name + below + b"/point")
        return shell(f"cat {os.fsdecode(bind.target)}", view=View.MINIMAL, writable=(own,), binds=(bind,))

    def tree() -> list[Path]:
        return sorted((work / "secret").rglob("*"))

    for folder in (work / "own/real", work / "secret"):
        before = tree()
        assert outcome(at(b"/link"), uid) == "refused"
        assert tree() == before
        (folder / "b/c").mkdir(parents=True)
        (folder / "b/c/point").touch()
        (folder / "point").touch()
    assert outcome(at(b"/link"), uid) == "refused"
    assert outcome(at(b"/real"), uid) == Path("/etc/hostname").read_text()


@pytest.mark.attack(10)
@pytest.mark.parametrize("uid", USERS)
def test_no_mount_point_is_made_on_the_host(work, uid):
    """In a folder of the host that is written to for real: there it would stay."""
    own = os.fsencode(work / "own")
    for target in (b"/data/new", own + b"/new"):
        binds = (
            Bind(source=own, target=b"/data", writable=True),
            Bind(source=b"/etc", target=target),
        )
        assert outcome(shell("true", view=View.MINIMAL, writable=(own,), binds=binds), uid) == "refused"
    assert not (work / "own/new").exists()
    (work / "own/new").mkdir()
    # The twins: what is there, and what is made in memory.
    inner = (
        Bind(source=own, target=b"/data", writable=True),
        Bind(source=b"/etc", target=b"/data/new"),
        Bind(source=b"/etc", target=b"/made/in/memory"),
    )
    spec = shell("cat /data/new/hostname", view=View.MINIMAL, binds=inner)
    assert outcome(spec, uid) == Path("/etc/hostname").read_text()


@pytest.mark.attack(10)
@pytest.mark.parametrize("uid", USERS)
def test_no_folder_is_made_through_a_link(work, uid):
    """The folders that a program made when it was traced, and the one that it works in."""
    own = os.fsencode(work / "own")
    through = shell(
        "mkdir -p made; pwd; echo twin >/tmp/x && cat /tmp/x",
        view=View.MINIMAL,
        visible=(own,),
        folders=(own + b"/link/made", own + b"/link/made/deep", b"/var/made"),
        outlines=(own + b"/link",),
        cwd=b"/var/made",
    )
    assert outcome(through, uid) == "/var/made\ntwin\n"
    assert sorted(path.name for path in (work / "secret").iterdir()) == ["file"]


@pytest.mark.attack(8)
@pytest.mark.parametrize("uid", USERS)
def test_parents_that_may_only_be_passed_through_are(work, uid):
    """Folders of mode 0711: they cannot be listed, and need not be."""
    inner = work / "own/a/b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("reached\n")
    for folder in (work / "own/a", inner):
        folder.chmod(0o711)
    bind = Bind(source=os.fsencode(inner / "file"), target=b"/opt/a/b/file")
    assert outcome(shell("cat /opt/a/b/file", view=View.MINIMAL, binds=(bind,)), uid) == "reached\n"


@pytest.mark.attack(12)
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("view", View)
def test_terminals_of_the_host_have_no_name_inside(view, uid):
    outer, inner = pty.openpty()
    os.fchmod(inner, 0o666)
    number = os.ttyname(inner).rpartition("/")[2]
    opened = "(: <{}) 2>/dev/null && echo opened"
    script = f"stat -c %d /dev/pts; {opened.format(f'/dev/pts/{number}')}; {opened.format('/dev/console')}; echo none"
    seen = outcome(shell(script, view=view), uid).split()
    os.close(outer)
    os.close(inner)
    assert int(seen[0]) != os.stat("/dev/pts").st_dev
    assert seen[1:] == ["none"]


@pytest.mark.attack(12)
@pytest.mark.requires("python3")
def test_the_twin_has_terminals_of_its_own():
    code = "import os, pty; print(os.ttyname(pty.openpty()[1]))"
    assert run_script(spec_of("/usr/bin/python3", "-c", code, view=View.MINIMAL)).startswith("/dev/pts/")


@pytest.mark.attack(7, 13)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "target", ["/", "/proc", "/proc/self/attr", "/proc/sys", "/sys", "/dev", "/dev/pts", "//proc/./sys"]
)
def test_nothing_is_shown_in_place_of_the_kernels_folders(target, view):
    """The host's own /proc, named by a profile or an option, would bring the host's processes back."""
    bind = Bind(source=b"/proc", target=os.fsencode(target))
    with pytest.raises(UsageError, match="the sandbox's own"):
        plan_of(shell("true", view=view, binds=(bind,)))
    beside = Bind(source=b"/etc/hostname", target=b"/procs/hostname" if view is View.MINIMAL else b"/opt/hostname")
    script = f"cat {os.fsdecode(beside.target)}"
    assert run_script(shell(script, view=view, binds=(beside,))) == Path("/etc/hostname").read_text()
