"""Which system calls make descriptors, and which set how many there may be: what the peak of open files is read from.

A call that returns a descriptor says its number. Others put descriptors into the program's memory, or make one only
for some arguments: after those the kernel side looks at the table. execve keeps what was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["DESCRIPTOR_TRAITS"]

_RETURNED: Final = 8
_MADE: Final = 16
_SETRLIMIT: Final = 32
_PRLIMIT: Final = 64
"""Bits of `config.traits` (TRAIT_* in layout.h)."""


def _rows(*rows: tuple[int, str]) -> Mapping[str, int]:
    return {name: trait for trait, names in rows for name in names.split()}


DESCRIPTOR_TRAITS: Final = _rows(
    (_RETURNED, "open openat openat2 creat open_by_handle_at mq_open memfd_create memfd_secret"),
    (_RETURNED, "dup dup2 dup3 socket accept accept4"),
    (_RETURNED, "epoll_create epoll_create1 eventfd eventfd2 signalfd signalfd4 timerfd_create userfaultfd"),
    (_RETURNED, "inotify_init inotify_init1 fanotify_init pidfd_open pidfd_getfd perf_event_open"),
    (_RETURNED, "open_tree open_tree_attr fsopen fsmount fspick io_uring_setup"),
    (_MADE, "pipe pipe2 socketpair recvmsg recvmmsg clone clone3 fcntl ioctl bpf seccomp"),
    (_MADE, "io_uring_enter landlock_create_ruleset"),
    (_SETRLIMIT, "setrlimit"),
    (_PRLIMIT, "prlimit64"),
)
"""By name."""
