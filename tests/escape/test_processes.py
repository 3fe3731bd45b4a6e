"""Attacks through processes, descriptors and the terminal, each beside a twin that must work."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import resource
import struct
import sys
from pathlib import Path

import pytest

from harden.errors import HardenError, NotExecutable
from harden.kernel.executable import HARDEN_EXEC
from harden.launch.spawn import start
from harden.model.sandbox import SeccompFilter, View
from tests.sandboxes import CAP_SYS_ADMIN, plan_of, run, run_script, shell, spec_of

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp")

CAP_SYS_PTRACE = 19
CAP_KILL = 5


@pytest.mark.proves("eight namespaces")
def test_every_namespace_is_the_sandboxs_own():
    names = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]
    inside = run_script(shell(f"for n in {' '.join(names)}; do readlink /proc/self/ns/$n; done")).split()
    assert [link.split(":")[0] for link in inside] == names
    assert not {os.readlink(f"/proc/self/ns/{name}") for name in names} & set(inside)


def test_ids_are_shifted_and_unique_per_sandbox(tmp_path):
    with start(plan_of(spec_of("/bin/sleep", "60"))) as one, start(plan_of(spec_of("/bin/sleep", "60"))) as two:
        first, second = (
            int(Path(f"/proc/{sandbox.ready(10).payload_pid}/uid_map").read_text().split()[1]) for sandbox in (one, two)
        )
        assert first >= 1879048192
        assert second >= 1879048192
        assert abs(first - second) >= 65536


def test_init_is_beyond_the_reach_of_the_payload():
    script = """
        kill -9 1; kill -TERM 1
        cat /proc/1/environ /proc/1/maps >/dev/null && echo read; ls /proc/1/fd/ && echo listed
        nsenter -t 1 -m true && echo joined
        sleep 60 & kill -9 $! && echo the twin was killed
    """
    text = run(shell(script, capabilities=frozenset({CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_KILL}))).text
    assert text.endswith("the twin was killed\n")
    assert not {"read", "listed", "joined"} & set(text.split("\n"))


def test_the_hosts_interpreter_and_harden_exec_are_no_process_inside():
    before = hashlib.sha256(HARDEN_EXEC.read_bytes()).digest()
    script = "for p in /proc/[0-9]*; do readlink $p/exe; done; echo x > /proc/1/exe; echo x > /proc/self/exe"
    text = run(shell(script)).text
    assert os.path.realpath(sys.executable) not in text
    assert str(HARDEN_EXEC) not in text
    assert hashlib.sha256(HARDEN_EXEC.read_bytes()).digest() == before


def test_leaked_descriptors_are_closed():
    leaked = [os.open("/etc", os.O_RDONLY | os.O_DIRECTORY) for _ in range(50)]
    try:
        for descriptor in leaked:
            os.set_inheritable(descriptor, True)
        text = run_script(shell("ls /proc/self/fd; cat /proc/self/fd/[4-9]*/hostname; true"))
    finally:
        for descriptor in leaked:
            os.close(descriptor)
    # 3 is the folder that ls reads.
    assert text.split()[:4] == ["0", "1", "2", "3"]
    assert "hostname" not in text.split()


@pytest.mark.parametrize("number", [0, 3, 7, 20])
def test_the_working_folder_cannot_be_a_descriptor_of_the_launcher(number):
    with pytest.raises(HardenError, match="working folder"):
        run(shell("cat etc/hostname", cwd=f"/proc/self/fd/{number}".encode()))


def test_the_working_folder_and_the_program_stay_visible_under_tmp(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\npwd; ls; cat data; echo changed > data; ls /tmp\n")
    program.chmod(0o755)
    (tmp_path / "data").write_text("content\n")
    text = run_script(spec_of(program, cwd=os.fsencode(tmp_path)))
    assert text.splitlines()[:4] == [str(tmp_path), "data", "program", "content"]
    assert (tmp_path / "data").read_text() == "content\n"
    assert text.splitlines()[4:] == [tmp_path.parts[2]]


def test_core_files_are_off():
    assert run_script(shell("ulimit -c; ulimit -Hc")) == "0\n0\n"


def test_resource_limits_of_the_caller_are_kept():
    soft, hard = (int(x) if x != "unlimited" else x for x in run_script(shell("ulimit -n; ulimit -Hn")).split())
    assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.mark.attack(22)
@pytest.mark.requires("gcc", "x86_64")
@pytest.mark.parametrize("request_number", [0x5412, 0x541C, 0x5412 | 1 << 32, 0x541C | 1 << 40])
def test_nothing_can_be_typed_into_the_terminal(victim, request_number):
    """TIOCSTI works for whoever has the terminal; the twin is a harmless ioctl on it."""
    program = victim("try_syscall", static=True)
    outer, inner = pty.openpty()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        for number, expected in ((request_number, "-1 1\n"), (0x540B, "0 0\n")):
            spec = spec_of(program, "16", "0", str(number), "@x" if number != 0x540B else "0")
            with start(plan_of(spec), gate=False, stdin=inner, stdout=writer) as sandbox:
                assert sandbox.wait(10).status == 0
            assert os.read(reader, 100).decode() == expected
        flags = fcntl.fcntl(inner, fcntl.F_GETFL)
        fcntl.fcntl(inner, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        with pytest.raises(BlockingIOError):
            os.read(inner, 1)
    finally:
        for descriptor in (outer, inner, reader, writer):
            os.close(descriptor)


def instruction(code: int, yes: int, no: int, operand: int) -> bytes:
    return struct.pack("=HBBI", code, yes, no, operand)


def cookie_filter(cookie: int) -> bytes:
    """Allows everything but execve, and that only with `cookie` in the sixth argument: struct seccomp_data, x86-64."""
    low, high = cookie & 0xFFFFFFFF, cookie >> 32
    return b"".join(
        [
            instruction(0x20, 0, 0, 0),
            instruction(0x15, 0, 4, 59),
            instruction(0x20, 0, 0, 16 + 8 * 5),
            instruction(0x15, 0, 3, low),
            instruction(0x20, 0, 0, 16 + 8 * 5 + 4),
            instruction(0x15, 0, 1, high),
            instruction(0x06, 0, 0, 0x7FFF0000),
            instruction(0x06, 0, 0, 0x00050000 | 1),
        ]
    )


@pytest.mark.requires("x86_64")
@pytest.mark.parametrize("view", [View.HOST, View.MINIMAL])
def test_the_exec_cookie_works_once(view):
    cookie = 0x0123456789ABCDEF
    seccomp = SeccompFilter(program=cookie_filter(cookie), exec_cookie=cookie)
    ended = run(shell("echo started; /bin/true && echo twice", seccomp=seccomp, view=view))
    assert ended.text.startswith("started\n")
    assert "twice" not in ended.text
    assert "not permitted" in ended.text
    without = run(shell("echo started; /bin/true && echo twice", view=view))
    assert without.text == "started\ntwice\n"


@pytest.mark.requires("x86_64")
def test_a_filter_that_refuses_the_exec_is_an_error():
    seccomp = SeccompFilter(program=cookie_filter(1 << 40 | 1), exec_cookie=2 << 40 | 2)
    with pytest.raises(NotExecutable, match="EPERM"):
        run(shell("echo started", seccomp=seccomp))


def test_a_filter_that_kills_everything_ends_the_sandbox():
    seccomp = SeccompFilter(program=instruction(0x06, 0, 0, 0x80000000), exec_cookie=None)
    with pytest.raises(HardenError, match="died before it became the program"):
        run(shell("echo started", seccomp=seccomp), timeout_s=10)
