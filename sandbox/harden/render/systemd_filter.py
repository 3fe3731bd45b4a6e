"""systemd's SystemCallFilter=, by name: neither its groups nor its implied list mean the same in two versions of it.

Source: systemd.exec(5); the union of `@default` over the versions whose source was compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.bpf.action import ALLOW
from harden.bpf.decision import Decision
from harden.model.arch import Arch
from harden.model.profile import Rights
from harden.model.syscall import is_known, numbers
from harden.render.quoted import Quoted

__all__ = ["architectures", "syscall_filter"]

_EXEC: Final = "execve"
_ARCHITECTURES: Final = {Arch.X86_64: "x86-64", Arch.X32: "x32", Arch.I386: "x86", Arch.AARCH64: "arm64"}
_IMPLIED: Final = (
    *("arch_prctl", "brk", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64"),
    *("clock_nanosleep", "clock_nanosleep_time64", "exit", "exit_group", "futex", "futex_time64", "futex_waitv"),
    *("get_robust_list", "get_thread_area", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32"),
    *("getgroups", "getgroups32", "getpgid", "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresgid32"),
    *("getresuid", "getresuid32", "getrlimit", "getsid", "gettid", "gettimeofday", "getuid", "getuid32"),
    *("landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lsm_get_self_attr"),
    *("lsm_list_modules", "membarrier", "mmap", "mmap2", "mprotect", "mseal", "munmap", "nanosleep", "pause"),
    *("prlimit64", "restart_syscall", "riscv_flush_icache", "riscv_hwprobe", "rseq", "rt_sigreturn"),
    *("sched_getaffinity", "sched_yield", "seccomp", "set_robust_list", "set_thread_area", "set_tid_address"),
    *("set_tls", "sigreturn", "time", "ugetrlimit", "uretprobe"),
)
"""What some version of systemd adds to every allow-list."""
_LINE: Final = 16
"""Calls to a line."""


def architectures(rights: Rights) -> Quoted:
    """The value of SystemCallArchitectures=."""
    return Quoted(" ".join(_ARCHITECTURES[arch] for arch in Arch if arch in rights.architectures))


def syscall_filter(rights: Rights, warnings: list[str]) -> Iterator[Quoted]:
    """The values of SystemCallFilter=: first what is allowed, then what systemd would add and the profile refuses."""
    tables = Decision.of(rights).tables.values()
    allowed: set[str] = set()
    for table in tables:
        answers = {name for name, nr in numbers(table.arch).items() if table.actions.get(nr) == ALLOW}
        allowed |= answers | {name for name, nr in numbers(table.arch).items() if nr in table.conditions}
    unnamed = sorted(name for name in rights.all_syscalls() if not is_known(name))
    if unnamed:
        warnings.append(f"left out, because the format knows calls by name only: {', '.join(unnamed)}")
    refused = {name for name in _IMPLIED if is_known(name)} - allowed - {_EXEC}
    yield from _lines(sorted(allowed | {_EXEC}), "")
    yield from _lines(sorted(refused), "~")


def _lines(names: list[str], start: str) -> Iterator[Quoted]:
    for first in range(0, len(names), _LINE):
        yield Quoted(start + " ".join(names[first : first + _LINE]))
