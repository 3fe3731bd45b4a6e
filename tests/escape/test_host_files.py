"""Attacks on the host through files that are writable for real, each beside a twin that must work."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from harden.errors import HardenError, UsageError
from harden.launch.spawn import start
from harden.launch.special_files import find_special_files
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.sandbox import Bind, SandboxSpec, UserNamespaceMode, View
from harden.model.syscall import numbers
from tests.sandboxes import plan_of, run, run_script, shell, spec_of

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp")


@pytest.fixture
def work():
    """A folder outside the private ones: they hide what they cover."""
    path = Path("/var/lib") / f"harden-test-{os.getpid()}"
    path.mkdir()
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def minimal(script: str, *writable: Path, **changes: object) -> SandboxSpec:
    return shell(script, view=View.MINIMAL, writable=tuple(os.fsencode(path) for path in writable), **changes)


@pytest.mark.parametrize("bound", [False, True])
def test_no_set_user_id_file_is_left_on_the_host(work, bound):
    bind = Bind(source=os.fsencode(work), target=os.fsencode(work), writable=True)
    script = f"cd {work}; cp /bin/true x; chmod 4755 x; chmod u+s x; chmod g+s .; chmod 750 x; mkdir d; echo ended"
    view = View.HOST if bound else View.MINIMAL
    ended = run(shell(script, view=view, binds=(bind,)) if bound else minimal(script, work))
    assert ended.text.count("Operation not permitted") == 3
    assert ended.text.endswith("ended\n")
    assert stat.S_IMODE((work / "x").stat().st_mode) == 0o750
    assert (work / "d").is_dir()
    assert not [path for path in (work, *work.rglob("*")) if path.stat().st_mode & 0o6000]


@pytest.mark.proves("set-id bits and devices")
@pytest.mark.requires("gcc", "x86_64")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("open", ("@{}/made", os.O_CREAT | os.O_WRONLY, 0o4755)),
        ("creat", ("@{}/made", 0o4755)),
        ("openat", (-100, "@{}/made", os.O_CREAT | os.O_WRONLY, 0o2755)),
        ("mknod", ("@{}/made", 0o104755, 0)),
        ("mknodat", (-100, "@{}/made", 0o102755, 0)),
    ],
)
def test_no_call_makes_a_set_id_file(victim, work, name, arguments):
    program = victim("try_syscall", static=True)

    def attempt(words: tuple[str | int, ...]) -> str:
        shown = [word.format(work) if isinstance(word, str) else word for word in words]
        number = numbers(Arch.X86_64)[name]
        spec = spec_of(program, number, *shown, view=View.MINIMAL, writable=(os.fsencode(work),))
        return run_script(spec)

    assert attempt(arguments) == "-1 1\n"
    assert not (work / "made").exists()
    twin = tuple(word & ~0o6000 if isinstance(word, int) and word > 0o1000 else word for word in arguments)
    assert attempt(twin).endswith(" 0\n")
    assert stat.S_IMODE((work / "made").stat().st_mode) & 0o700 == 0o700


def test_in_the_copy_of_the_host_view_set_id_bits_can_be_set(work):
    assert run_script(shell(f"cd {work}; cp /bin/true x; chmod 4755 x; stat -c %a x")) == "4755\n"
    assert not (work / "x").exists()


def test_file_capabilities_cannot_reach_the_host(work):
    setfcap = frozenset({int(Capability.CAP_SETFCAP)})
    with pytest.raises(UsageError, match=f"CAP_SETFCAP together with {work}"):
        plan_of(minimal("true", work, capabilities=setfcap))
    bind = Bind(source=os.fsencode(work), target=b"/opt", writable=True)
    with pytest.raises(UsageError, match="CAP_SETFCAP"):
        plan_of(shell("true", binds=(bind,), capabilities=setfcap))
    assert run_script(shell("echo twin", capabilities=setfcap)) == "twin\n"
    assert run_script(minimal("echo twin", work)) == "twin\n"


def exchanged(work: Path) -> tuple[Path, Path]:
    """A folder of the program's in which it has put a link to a folder of the host's; both."""
    own, secret = work / "own", work / "secret"
    own.mkdir()
    secret.mkdir()
    (secret / "file").write_text("of the host\n")
    (own / "data").symlink_to(secret)
    return own, secret


@pytest.mark.parametrize("writable", [False, True])
def test_a_bind_does_not_follow_a_link_that_the_program_made(work, writable):
    own, secret = exchanged(work)
    bind = Bind(source=os.fsencode(own / "data"), target=b"/data", writable=writable)
    with pytest.raises(HardenError, match=f"{own}/data is a symbolic link to {secret}") as caught:
        plan_of(minimal("true", own, binds=(bind,)))
    assert "check who made" in (caught.value.hint or "")
    assert run_script(minimal("cat /data/file", binds=(bind,))) == "of the host\n"


def test_a_writable_bind_makes_the_folder_the_programs_too(work):
    own, _ = exchanged(work)
    first = Bind(source=os.fsencode(own), target=b"/own", writable=True)
    second = Bind(source=os.fsencode(own / "data"), target=b"/data")
    with pytest.raises(HardenError, match="is a symbolic link"):
        plan_of(shell("true", binds=(first, second)))
    assert run_script(shell("cat /data/file", binds=(second,))) == "of the host\n"


@pytest.mark.parametrize("field", ["visible", "writable"])
def test_the_view_does_not_follow_a_link_that_the_program_made(work, field):
    own, secret = exchanged(work)
    paths = (os.fsencode(own / "data"), *((os.fsencode(own),) if field == "writable" else ()))
    changes = {"writable": (os.fsencode(own),), field: paths}
    with pytest.raises(HardenError, match=f"{own}/data is a symbolic link to {secret}"):
        plan_of(shell("true", view=View.MINIMAL, **changes))
    twin = shell(f"ls -d {own}/data/", view=View.MINIMAL, **{field: paths[:1]})
    assert run_script(twin) == f"{own}/data/\n"


def test_the_program_is_not_found_through_a_link_that_the_program_made(work):
    own, secret = exchanged(work)
    (secret / "app").write_text("#!/bin/sh\necho of the host\n")
    (secret / "app").chmod(0o755)
    spec = spec_of("/bin/sh", view=View.MINIMAL, writable=(os.fsencode(own),))
    through = {"program": os.fsencode(own / "data/app"), "argv": (b"app",)}
    with pytest.raises(HardenError, match="is a symbolic link"):
        plan_of(replace(spec, **through))
    assert run_script(replace(spec, writable=(), **through)) == "of the host\n"


def test_links_that_stay_within_reach_are_followed(work):
    own, _ = exchanged(work)
    (own / "real").mkdir()
    (own / "real/app").write_text("#!/bin/sh\necho ran\n")
    (own / "real/app").chmod(0o755)
    (own / "current").symlink_to("real")
    (own / "python").symlink_to("/usr/bin/env")
    visible = tuple(os.fsencode(own / name) for name in ("current/app", "python"))
    assert run_script(minimal(f"{own}/current/app", own, visible=visible)) == "ran\n"
    bind = Bind(source=os.fsencode(own / "python"), target=b"/opt/env", writable=True)
    with pytest.raises(HardenError, match="is a symbolic link to /usr/bin/env"):
        plan_of(minimal("true", own, binds=(bind,)))


def test_a_link_put_there_after_the_plan_is_refused(work):
    """Between planning and starting: what was resolved is opened without following anything."""
    shown = work / "shown"
    shown.mkdir()
    _, secret = exchanged(work)
    spec = minimal("cat /data/file", binds=(Bind(source=os.fsencode(shown), target=b"/data"),))
    planned = plan_of(spec)
    shown.rmdir()
    shown.symlink_to(secret)
    with start(planned, gate=False) as sandbox, pytest.raises(HardenError, match="ELOOP"):
        sandbox.wait(10)


LISTENING = """
import os, socket, sys
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    for path in sys.argv[1:]:
        try:
            socket.socket(socket.AF_UNIX, kind).connect(path)
            print("reached")
        except OSError as error:
            pass
print("tried")
"""


@pytest.mark.proves("host sockets and FIFOs")
@pytest.mark.parametrize("field", ["visible", "writable"])
def test_sockets_in_a_shown_folder_are_out_of_reach(work, field):
    (work / "below").mkdir()
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
    paths = [str(work / f"below/{int(kind)}") for kind in kinds]
    servers = [socket.socket(socket.AF_UNIX, kind) for kind in kinds]
    for server, path in zip(servers, paths, strict=True):
        server.bind(path)
        if server.type != socket.SOCK_DGRAM:
            server.listen()
    shown = {field: (os.fsencode(work),)}
    spec = spec_of("/usr/bin/python3", "-c", LISTENING, *paths, view=View.MINIMAL, **shown)
    assert sum("is a socket of the host" in note for note in plan_of(spec).notes) == 3
    assert run_script(spec) == "tried\n"
    bind = Bind(source=os.fsencode(paths[0]), target=os.fsencode(paths[0]))
    assert run_script(replace(spec, binds=(bind,))) == "reached\ntried\n"
    for server in servers:
        server.setblocking(False)
    with pytest.raises(BlockingIOError):
        servers[1].recv(1)
    for server in servers:
        server.close()


@pytest.mark.proves("host sockets and FIFOs")
@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("place", ["own", "other"])
def test_a_folder_that_is_bound_comes_with_its_sockets_and_fifos(work, place, writable):
    """Also over itself, where the view alone covers them: README says so."""
    shown = str(work) if place == "own" else "/mnt"
    os.mkfifo(work / "fifo")
    reader = os.open(work / "fifo", os.O_RDWR | os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(work / "socket"))
        server.listen()
        code = f"{LISTENING}open({shown!r} + '/fifo', 'w').write('given')"
        spec = spec_of("/usr/bin/python3", "-c", code, f"{shown}/socket", view=View.MINIMAL)
        spec = replace(spec, visible=(os.fsencode(work),))
        assert "reached" not in run(spec).text
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
        bind = Bind(source=os.fsencode(work), target=os.fsencode(shown), writable=writable)
        assert run_script(replace(spec, binds=(bind,))) == "reached\ntried\n"
        assert os.read(reader, 5) == b"given"
    os.close(reader)


def test_an_abandoned_socket_can_be_replaced(work):
    """A server that was killed leaves its file: it must be able to remove it at its next start."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(work / "socket"))
        assert find_special_files(os.fsencode(work)).files == ((os.fsencode(work / "socket"), "socket"),)
    assert find_special_files(os.fsencode(work)).files == ()
    assert run_script(minimal(f"rm {work}/socket && echo removed", work)) == "removed\n"


def test_a_fifo_in_a_shown_folder_is_out_of_reach(work):
    os.mkfifo(work / "fifo")
    reader = os.open(work / "fifo", os.O_RDWR | os.O_NONBLOCK)
    spec = minimal(f"echo leaked >{work}/fifo; mv {work}/fifo {work}/x; echo leaked >{work}/x; echo twin", work)
    assert run(spec).text.endswith("twin\n")
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    path = os.fsencode(work / "fifo")
    run_script(replace(spec, binds=(Bind(source=path, target=path),)))
    assert os.read(reader, 6) == b"leaked"
    os.close(reader)


def test_own_devices_work_and_others_are_not_made():
    """Without a user namespace CAP_MKNOD is real: /dev is nodev, its own devices are not."""
    script = """
        echo x >/dev/null && head -c1 /dev/zero | od -An -tx1
        mknod /dev/mem1 c 1 5 && { head -c1 /dev/mem1 && echo opened; }; mknod /tmp/mem1 c 1 5 && head -c1 /tmp/mem1
        echo ended
    """
    mknod = frozenset({int(Capability.CAP_MKNOD)})
    spec = shell(script, view=View.MINIMAL, user_namespace=UserNamespaceMode.HOST, capabilities=mknod)
    text = run(spec).text
    assert text.startswith(" 00\n")
    assert text.endswith("ended\n")
    assert "opened" not in text
    assert text.count("Permission denied") == 2
