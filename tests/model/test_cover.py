"""What a profile lacks for a run."""

from __future__ import annotations

from harden.model.arch import Arch
from harden.model.cover import missing
from tests.recordings import arguments, capability, file, profile_of, run, small_profile, small_run, socket, syscall


def test_small_run_is_covered():
    assert missing(small_profile(), small_run()) == ()


def test_everything_that_is_not_granted_is_named():
    more = run(
        syscalls=(syscall("ptrace"), syscall("ioctl")),
        arguments=(arguments("ioctl", (0x5412,)),),
        capabilities=(capability("CAP_SYS_PTRACE"),),
        files=(file("/etc/shadow", "read"), file("/etc/app/app.conf", "read", "write")),
        sockets=(socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=81),),
    )
    assert missing(small_profile(), more) == (
        "system call ptrace by /usr/bin/app",
        "ioctl(TIOCSTI) by /usr/bin/app",
        "capability CAP_SYS_PTRACE",
        "write /etc/app/app.conf",
        "read /etc/shadow",
        "bind tcp 0.0.0.0:81",
    )


def test_another_abi_is_not_covered():
    other = run(syscalls=(syscall("openat", arch=Arch.I386),))
    assert missing(small_profile(), other) == ("system call openat of the i386 ABI by /usr/bin/app",)


def test_patterns_cover_other_names():
    profile = profile_of(run(files=(file("/proc/2/maps", "read"), file("/srv/t.aB3xY9", "create", "unlink"))))
    other = run(files=(file("/proc/77/maps", "read"), file("/srv/t.q7Wz2K", "create", "unlink")))
    assert missing(profile, other) == ()
    assert missing(profile, run(files=(file("/srv/t.q7Wz2K", "read"),))) == ("read /srv/t.q7Wz2K",)


def test_rights_of_files_on_the_root_are_never_missing():
    seen = run(files=(file("/", "exec", "map"), file("/", "read", folder=True)))
    assert missing(profile_of(seen), seen) == ()
    assert missing(profile_of(run()), seen) == ("list /",)
