"""The base filter on every ABI, in the simulator: what it refuses, and that the call beside it passes."""

from __future__ import annotations

import errno
import os

import pytest

from harden.bpf.action import errno_action
from harden.bpf.instruction import decode
from harden.bpf.simulate import Simulator
from harden.launch.filters import base_filter, notify_filter, shows_host_writable
from harden.model.arch import Arch
from harden.model.sandbox import Bind, View
from harden.model.syscall import numbers
from tests.sandboxes import shell

ALLOW = 0x7FFF0000
STRICT = Simulator(decode(base_filter(host_writable=True)))
PLAIN = Simulator(decode(base_filter()))
CREATE, TMPFILE = os.O_CREAT | os.O_WRONLY, 0o20000000 | os.O_WRONLY
REFUSED = [
    ("chmod", (0, 0o4755)),
    ("fchmod", (0, 0o2755)),
    ("fchmodat", (0, 0, 0o4755)),
    ("fchmodat2", (0, 0, 0o6755, 0)),
    ("creat", (0, 0o4755)),
    ("open", (0, CREATE, 0o4755)),
    ("open", (0, TMPFILE, 0o2755)),
    ("openat", (0, 0, CREATE, 0o2755)),
    ("openat", (0, 0, TMPFILE, 0o4755)),
    ("mknod", (0, 0o104755, 0)),
    ("mknod", (0, 0o020666, 0x801)),
    ("mknodat", (0, 0, 0o102755, 0)),
    ("mknodat", (0, 0, 0o060666, 0x800)),
]
PASSED = [
    ("chmod", (0, 0o1777)),
    ("fchmod", (0, 0o755)),
    ("fchmodat", (0, 0, 0o755, 0o4000)),
    ("fchmodat2", (0, 0, 0o755, 0o4000)),
    ("creat", (0, 0o644)),
    ("open", (0, CREATE, 0o644)),
    ("open", (0, os.O_RDONLY, 0o4755)),
    ("openat", (0, 0, CREATE, 0o644)),
    ("openat", (0, 0, os.O_RDONLY | os.O_DIRECTORY, 0o4755)),
    ("mknod", (0, 0o010644, 0)),
    ("mknodat", (0, 0, 0o140755, 0)),
    ("ioctl", (0, 0x540B)),
    ("read", (0, 0o6000, 0o6000, 0o6000)),
]


def answer(program: Simulator, arch: Arch, name: str, arguments: tuple[int, ...]) -> int:
    one, two, three, four, five, six = (*arguments, *(0,) * (6 - len(arguments)))
    return program.run(arch.audit_arch, numbers(arch)[name], (one, two, three, four, five, six))


@pytest.mark.parametrize("arch", Arch)
def test_set_id_bits_and_devices_are_refused_on_every_abi(arch):
    tried = [(name, arguments) for name, arguments in REFUSED if name in numbers(arch)]
    assert {"fchmod", "fchmodat", "fchmodat2", "openat", "mknodat"} <= {name for name, _ in tried}
    for name, arguments in tried:
        assert answer(STRICT, arch, name, arguments) == errno_action(errno.EPERM), (name, arguments)
        high = tuple(value | 1 << 40 for value in arguments)
        assert answer(STRICT, arch, name, high) == errno_action(errno.EPERM), (name, high)
        assert answer(PLAIN, arch, name, arguments) == ALLOW, (name, arguments)


@pytest.mark.parametrize("arch", Arch)
def test_what_cannot_be_looked_at_does_not_exist(arch):
    for name in ("openat2", "io_uring_setup"):
        assert answer(STRICT, arch, name, ()) == errno_action(errno.ENOSYS)
        assert answer(PLAIN, arch, name, ()) == ALLOW


@pytest.mark.parametrize("program", [STRICT, PLAIN], ids=["strict", "plain"])
@pytest.mark.parametrize("arch", Arch)
def test_everything_else_passes_but_typing_into_the_terminal(arch, program):
    for name, arguments in PASSED:
        if name in numbers(arch):
            assert answer(program, arch, name, arguments) == ALLOW, (name, arguments)
    for request in (0x5412, 0x541C, 1 << 32 | 0x5412):
        assert answer(program, arch, "ioctl", (0, request)) == errno_action(errno.EPERM)


def test_only_what_reaches_the_host_makes_it_strict():
    bind = Bind(source=b"/srv", target=b"/srv", writable=True)
    assert not shows_host_writable(shell("true"))
    assert not shows_host_writable(shell("true", view=View.MINIMAL, visible=(b"/srv",)))
    assert not shows_host_writable(shell("true", writable=(b"/srv",)))
    assert shows_host_writable(shell("true", view=View.MINIMAL, writable=(b"/srv",)))
    assert shows_host_writable(shell("true", binds=(bind,)))


@pytest.mark.requires("x86_64")
def test_every_call_of_every_abi_is_notified_but_the_one_with_the_cookie():
    cookie = 0x1122334455667788
    filter_ = Simulator(decode(notify_filter(cookie)))
    sendmsg, native = numbers(Arch.X86_64)["sendmsg"], Arch.X86_64.audit_arch
    notify = 0x7FC00000
    assert filter_.run(native, sendmsg, (0, 0, 0, 0, 0, cookie)) == ALLOW
    for arguments in ((0, 0, 0, 0, 0, cookie & 0xFFFFFFFF), (0, 0, 0, 0, 0, cookie ^ 1 << 63), (cookie, 0, 0, 0, 0, 0)):
        assert filter_.run(native, sendmsg, arguments) == notify
    for arch in (Arch.I386, Arch.AARCH64):
        assert filter_.run(arch.audit_arch, sendmsg, (0, 0, 0, 0, 0, cookie)) == notify
    for number in (0, 59, 231, 511, sendmsg | 0x40000000, 0xFFFFFFFF):
        assert filter_.run(native, number, (0, 0, 0, 0, 0, cookie)) == notify
