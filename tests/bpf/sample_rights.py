"""Rights for the tests of filters: a few that look like real profiles, and arbitrary ones."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from harden.bpf.simulate import Arguments
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import numbers
from harden.model.syscall_argument import ARGUMENT_ROWS, render_values

COOKIE: Final = 0x9E3779B97F4A7C15
SERVER: Final = Rights(
    architectures=(Arch.X86_64,),
    syscalls={
        Origin.BASELINE: ("brk", "exit_group", "futex", "getpid", "mmap", "mprotect", "munmap", "rt_sigreturn"),
        Origin.OBSERVED: (
            "accept4",
            "clone",
            "clone3",
            "close",
            "epoll_wait",
            "fcntl",
            "ioctl",
            "openat",
            "read",
            "setsockopt",
            "socket",
            "write",
        ),
    },
    arguments={
        "clone": {Origin.FAMILY: (("0",),)},
        "fcntl": {Origin.OBSERVED: (("F_GETFL",), ("F_SETFL",))},
        "ioctl": {Origin.OBSERVED: tuple((str(0x5401 + 3 * step),) for step in range(20))},
        "mmap": {Origin.OBSERVED: (("0",), ("PROT_WRITE",), ("PROT_EXEC",))},
        "mprotect": {Origin.OBSERVED: (("0",), ("PROT_WRITE",))},
        "setsockopt": {Origin.OBSERVED: (("SOL_SOCKET", "SO_REUSEADDR"), ("6", "1"))},
        "socket": {
            Origin.OBSERVED: (
                ("AF_INET", "SOCK_STREAM", "0"),
                ("AF_UNIX", "SOCK_STREAM", "*"),
                ("AF_INET6", "SOCK_DGRAM", "17"),
            )
        },
    },
)
STATIC: Final = Rights(architectures=(Arch.X86_64,), syscalls={Origin.OBSERVED: ("exit_group", "write")})
SHELL: Final = Rights(
    architectures=(Arch.X86_64, Arch.I386),
    syscalls={
        Origin.OBSERVED: (
            "close",
            "execve",
            "exit_group",
            "fcntl",
            "fcntl64",
            "mmap",
            "mmap2",
            "socket",
            "socketcall",
            "unshare",
            "wait4",
            "write",
        ),
        Origin.MANUAL: ("clone3", "mseal", "syscall_500"),
    },
    arguments={
        "fcntl": {Origin.OBSERVED: (("F_DUPFD",),)},
        "mmap": {Origin.OBSERVED: (("PROT_EXEC",), ("0",))},
        "socket": {Origin.OBSERVED: (("AF_UNIX", "*", "*"),)},
        "unshare": {Origin.OBSERVED: (("CLONE_NEWUSER",),)},
    },
)
SAMPLES: Final = {"server": SERVER, "static": STATIC, "shell": SHELL}

_NAMES: Final = sorted({name for arch in Arch for name in numbers(arch)})
_WORDS: Final = st.one_of(
    st.integers(0, 8),
    st.sampled_from((0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x10000000, 0x7E020000)),
    st.integers(0, 2**32 - 1),
)
_REGISTERS: Final = st.one_of(
    _WORDS, st.builds(lambda high, low: high << 32 | low, _WORDS, _WORDS), st.just(COOKIE), st.just(COOKIE ^ 1)
)


@st.composite
def arbitrary_rights(draw: st.DrawFn, arches: tuple[Arch, ...] = tuple(Arch)) -> Rights:
    """Any calls on any architectures, with rules on any of the arguments that can be ruled on."""
    granted = draw(st.sets(st.sampled_from(_NAMES), max_size=60)) | draw(
        st.sets(st.sampled_from(sorted(ARGUMENT_ROWS)))
    )
    arguments = {}
    for name in sorted(granted & ARGUMENT_ROWS.keys()):
        row = ARGUMENT_ROWS[name]
        cells = [st.none() | _WORDS.map(each.mask.__and__) for each in row.arguments]
        values = draw(st.none() | st.lists(st.tuples(*cells), max_size=5))
        if values is not None:
            arguments[name] = {Origin.OBSERVED: tuple(sorted({render_values(row, each) for each in values}))}
    manual = draw(st.sets(st.sampled_from(("clone3", "mseal", "openat2", "syscall_480", "syscall_900"))))
    return Rights(
        architectures=tuple(draw(st.sets(st.sampled_from(arches), min_size=1))),
        syscalls={Origin.OBSERVED: tuple(sorted(granted)), Origin.MANUAL: tuple(sorted(manual))},
        arguments=arguments,
    )


def arbitrary_arguments() -> st.SearchStrategy[Arguments]:
    """Six registers, with values that filters care about more likely than others."""
    return st.tuples(*[_REGISTERS] * 6)


def arbitrary_numbers() -> st.SearchStrategy[int]:
    """Numbers around the tables of all architectures, x32's and odd ones."""
    near = st.integers(0, 560)
    return near | near.map(lambda number: number | 0x40000000) | st.sampled_from((2**31, 2**32 - 1, 2**30 - 1, 9999))
