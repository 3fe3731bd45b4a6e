"""The calls that are refused as if they did not exist are calls that exist."""

from __future__ import annotations

from harden.bpf.fallback import FALLBACKS
from harden.model.arch import Arch
from harden.model.syscall import numbers


def test_names_are_known_and_sorted():
    assert list(FALLBACKS) == sorted(FALLBACKS)
    known = {name for arch in Arch for name in numbers(arch)}
    assert set(FALLBACKS) <= known


def test_callers_of_the_newest_calls_fall_back():
    newest = {"clone3", "openat2", "faccessat2", "statx", "rseq", "close_range", "epoll_pwait2", "futex_waitv"}
    assert newest | {"fchmodat2", "preadv2", "pwritev2", "memfd_secret", "io_uring_setup"} <= FALLBACKS.keys()
    assert not {"execve", "ptrace", "mount", "unshare", "setns", "bpf", "openat"} & FALLBACKS.keys()
