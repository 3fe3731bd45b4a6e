"""Attacks on the host's memory and patience: core files, endless file systems, calls that make the kernel wait."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess

import pytest

from harden.model.sandbox import View
from tests.escape.attempts import (
    EVERY_CAPABILITY,
    USERS,
    VIEWS,
    attack,
    attack_bare,
    done,
    granted,
    launch,
    read_attempts,
    spec_for,
)
from tests.sandboxes import run_script, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc", "x86_64")


@pytest.mark.attack(46)
@pytest.mark.proves("no core files")
@pytest.mark.parametrize("capabilities", [frozenset(), EVERY_CAPABILITY], ids=["none", "all"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_core_file_is_written_whatever_the_program_does(victim, uid, view, capabilities):
    """A core_pattern that begins with | starts a program of the host, as root, with the dump as its input."""
    spec = spec_for(victim("attack_memory", static=True), "core", view=view, capabilities=capabilities)
    status, text = launch(spec, uid)
    assert status == 128 + signal.SIGABRT
    assert read_attempts(text) == {"raise": "EPERM", "raise-less": "EPERM"}


@pytest.mark.attack(46)
def test_the_twin_raises_its_limit_and_dumps(victim, place):
    """In a folder of its own, where a core file of the host's pattern would be found if it is a plain name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    assert hard != 0, "raise the hard limit for core files"
    program = victim("attack_memory", static=True)
    pid = os.fork()
    if pid == 0:
        os.chdir(place)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        os.execv(program, [str(program), "core"])
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert os.WCOREDUMP(status)
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == soft


@pytest.mark.attack(47)
@pytest.mark.proves("bounded memory file systems")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_every_memory_file_system_has_a_size(uid, view):
    status, text = launch(shell("grep -E ' - tmpfs none ' /proc/self/mountinfo", view=view), uid)
    assert status == 0
    sizes = {line.split()[4]: re.search(r"size=(\d+)k", line) for line in text.splitlines()}
    assert {"/run", "/tmp", "/var/tmp", "/dev", "/dev/shm"} <= set(sizes)
    kib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 10
    assert all(size and 0 < int(size[1]) <= max(kib // 8, 64 << 10, 256 << 10) for size in sizes.values()), sizes


@pytest.mark.attack(47)
@pytest.mark.parametrize("view", VIEWS)
def test_a_memory_file_system_is_full_at_its_size(victim, view):
    program = victim("attack_memory", static=True)
    small = attack(program, "fill", "/dev/x", view=view)
    assert (small["open"], small["endless"], int(small["kib"]) <= 1024) == ("done", "ENOSPC", True)
    # What the masks share is read-only.
    masked = attack(program, "fill", "/sys/firmware/x", view=view, capabilities=EVERY_CAPABILITY)
    assert masked == {"open": "EROFS"}


@pytest.mark.attack(47)
def test_the_twin_without_a_size_takes_more(victim):
    """tmpfs by itself takes half of the memory."""
    script = 'mount -t tmpfs none /mnt && exec "$0" fill /mnt/x'
    command = ["unshare", "--mount", "sh", "-c", f"ulimit -f 65536; {script}", victim("attack_memory", static=True)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # Ended by the limit of 32 MiB, not by the file system.
    assert "ENOSPC" not in ended.stdout
    assert ended.returncode in (-signal.SIGXFSZ, 0)


@pytest.mark.attack(48)
@pytest.mark.proves("userfaultfd and FUSE")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_nothing_makes_the_kernel_wait_for_the_program(victim, uid, view):
    """What widens a race: a page or a file that comes when the program likes. The set-up walks none of its paths."""
    program = victim("attack_memory", static=True)
    attempts = attack(program, "stall", uid=uid, view=view, capabilities=EVERY_CAPABILITY, seccomp=granted("openat"))
    assert done(attempts) == set()
    assert attempts["userfaultfd"] in ("EPERM", "ENOSYS")
    assert attempts["fuse"] == "ENOENT"


@pytest.mark.attack(48)
def test_the_twin_has_userfaultfd(victim):
    assert "userfaultfd" in done(attack_bare(victim("attack_memory", static=True), "stall", prefix=("unshare", "-m")))


@pytest.mark.attack(46)
def test_the_limit_is_the_programs_first_one_and_its_last():
    script = "ulimit -c; ulimit -Hc; ulimit -c unlimited 2>/dev/null || echo no"
    assert run_script(shell(script, view=View.MINIMAL)) == "0\n0\nno\n"
