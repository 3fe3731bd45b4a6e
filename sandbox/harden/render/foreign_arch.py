"""A profile on another architecture: a call that does not exist there is its newer sibling or left out, and a path
that names the architecture names the other one.

Source: include/uapi/asm-generic/unistd.h, the table of architectures that came after the `*at` calls, and the C
libraries, which make the siblings there; Debian's multiarch folders, whose names GCC gives (`gcc -print-multiarch`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import ArgumentTexts, Profile, Rights, parse_file_rights, render_file_rights
from harden.model.syscall import number_of

__all__ = ["SIBLINGS", "TARGETS", "on_arch"]

TARGETS: Final = (Arch.AARCH64,)
"""Architectures that a profile of x86_64 can be written for."""
SIBLINGS: Final = {
    "access": "faccessat",
    "alarm": "setitimer",
    "chmod": "fchmodat",
    "chown": "fchownat",
    "creat": "openat",
    "dup2": "dup3",
    "epoll_create": "epoll_create1",
    "epoll_wait": "epoll_pwait",
    "eventfd": "eventfd2",
    "fork": "clone",
    "futimesat": "utimensat",
    "getdents": "getdents64",
    "getpgrp": "getpgid",
    "inotify_init": "inotify_init1",
    "lchown": "fchownat",
    "link": "linkat",
    "lstat": "newfstatat",
    "mkdir": "mkdirat",
    "mknod": "mknodat",
    "open": "openat",
    "pause": "ppoll",
    "pipe": "pipe2",
    "poll": "ppoll",
    "readlink": "readlinkat",
    "rename": "renameat",
    "rmdir": "unlinkat",
    "select": "pselect6",
    "signalfd": "signalfd4",
    "stat": "newfstatat",
    "symlink": "symlinkat",
    "time": "gettimeofday",
    "unlink": "unlinkat",
    "ustat": "statfs",
    "utime": "utimensat",
    "utimes": "utimensat",
    "vfork": "clone",
}
"""The call that a C library makes in place of one that the architecture does not have."""
_PATHS: Final = {
    Arch.AARCH64: (
        ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"),
        ("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
        ("x86_64-linux-gnu", "aarch64-linux-gnu"),
    )
}
"""The loader and the folders of libraries, as path text, by architecture; the first that is in a path comes first."""
_NO_NAMESPACES: Final[ArgumentTexts] = ("0",)


def on_arch(profile: Profile, arch: Arch) -> tuple[Profile, tuple[str, ...]]:
    """The profile for `arch` alone, and one sentence for the calls that became others and one for those left out."""
    rights = profile.rights
    missing = {name for name in rights.all_syscalls() if number_of(arch, name) is None}
    found = {name: SIBLINGS[name] for name in sorted(missing & SIBLINGS.keys())}
    new = {name for name in found.values() if name not in rights.all_syscalls()}
    syscalls = {
        origin: tuple(name for name in names if name not in missing) for origin, names in rights.syscalls.items()
    }
    syscalls[Origin.FAMILY] = tuple(sorted({*syscalls.get(Origin.FAMILY, ()), *new}))
    arguments = {name: rows for name, rows in rights.arguments.items() if name not in missing}
    if "clone" in found.values() and ("clone" in new or "clone" in arguments):
        # A fork is a clone without a new namespace.
        rows = arguments.get("clone", {})
        arguments["clone"] = {**rows, Origin.FAMILY: tuple(sorted({*rows.get(Origin.FAMILY, ()), _NO_NAMESPACES}))}
    files, renamed = _files(rights, arch)
    wanted = msgspec.structs.replace(rights, architectures=(arch,), syscalls=syscalls, arguments=arguments, files=files)
    notes = []
    if renamed:
        notes.append(f"{renamed} paths are those of Debian on {arch}, such as /usr/lib/{_PATHS[arch][-1][1]}")
    if found:
        notes.append(
            f"on {arch}, in place of calls it does not have: {', '.join(f'{b} for {a}' for a, b in found.items())}"
        )
    dropped = sorted(missing - found.keys())
    if dropped:
        notes.append(f"left out, because {arch} has nothing like it: {', '.join(dropped)}")
    if arch not in rights.architectures:
        recorded = ", ".join(rights.architectures)
        notes.append(f"recorded on {recorded}: what only the C library of {arch} calls is not in it; record there too")
    return msgspec.structs.replace(profile, rights=wanted), tuple(notes)


def _files(rights: Rights, arch: Arch) -> tuple[dict[Origin, dict[str, str]], int]:
    """The file rights with paths of `arch`, and how many have become others."""
    files: dict[Origin, dict[str, str]] = {}
    renamed: set[str] = set()
    for origin, granted in rights.files.items():
        written = files.setdefault(origin, {})
        for path, operations in granted.items():
            there = _path(path, arch)
            renamed |= {path} if there != path else set()
            have = parse_file_rights(written[there]) if there in written else frozenset()
            written[there] = render_file_rights(have | parse_file_rights(operations))
    return files, len(renamed)


def _path(path: str, arch: Arch) -> str:
    for old, new in _PATHS[arch]:
        path = path.replace(old, new)
    return path
