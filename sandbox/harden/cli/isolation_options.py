"""The options by which `run` and `trace` isolate a program beyond its profile, declared once."""

from __future__ import annotations

import fcntl
import functools
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from harden.cli.limit_options import parse_limits, parse_rlimit, parse_size
from harden.errors import UsageError
from harden.model.isolation import Isolation, OverlayMount, TmpfsMount

__all__ = ["isolation_options", "parse_groups", "parse_overlay", "parse_pass_fds", "parse_rootfs", "parse_tmpfs"]

_OPTIONS: Final = (
    click.option("--cpus", type=float, metavar="N", help="Processor time, in processors: 0.5 is half of one."),
    click.option(
        "--memory", metavar="SIZE", help="Most memory; beyond it the kernel kills. SIZE: bytes, or with K M G."
    ),
    click.option("--memory-high", metavar="SIZE", help="Above this much memory the program is slowed down."),
    click.option("--swap", metavar="SIZE", help="Most swap space, 0 for none."),
    click.option("--pids", type=int, metavar="N", help="Most processes and threads of the program."),
    click.option(
        "--io", multiple=True, metavar="DEVICE:LIMITS", help="Limit a disk: rbps=, wbps=, riops=, wiops= per second."
    ),
    click.option("--cpuset", metavar="LIST", help="Run on these processors only, such as 0-3,8."),
    click.option(
        "--device",
        multiple=True,
        metavar="PATH[:rwm]",
        help="Show this device; all but the listed and the harmless ones are refused by the cgroup.",
    ),
    click.option("--tmpfs", multiple=True, metavar="DST[:SIZE]", help="An empty folder in memory."),
    click.option(
        "--overlay", multiple=True, metavar="LOWER:DST", help="A copy-on-write view of a host folder, gone at the end."
    ),
    click.option("--rootfs", metavar="DIR", help="Use the file system in this folder as root, copy on write."),
    click.option("--hostname", help="The host name inside.  [default: harden]"),
    click.option(
        "--rlimit", multiple=True, metavar="NAME=SOFT[:HARD]", help="A limit of setrlimit(2), such as nofile=64."
    ),
    click.option("--groups", multiple=True, metavar="GID,...", help="Supplementary groups: names or numbers."),
    click.option("--pass-fd", type=int, multiple=True, metavar="N", help="Let the program inherit descriptor N."),
    click.option("--clear-env", is_flag=True, help="Start without the caller's variables; --env adds some."),
)


def isolation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declares them; the command gets `isolation`, `hostname` and `clear_env` instead of one argument each.

    `isolation` is a function: what the options name is looked up when it is called. It takes the root file system that
    a profile keeps: groups are those of the one that is used.
    """

    @functools.wraps(command)
    def parsed(
        *,
        cpus: float | None,
        memory: str | None,
        memory_high: str | None,
        swap: str | None,
        pids: int | None,
        io: tuple[str, ...],
        cpuset: str | None,
        device: tuple[str, ...],
        tmpfs: tuple[str, ...],
        overlay: tuple[str, ...],
        rootfs: str | None,
        rlimit: tuple[str, ...],
        groups: tuple[str, ...],
        pass_fd: tuple[int, ...],
        **others: Any,
    ) -> Any:
        def isolation(stored_root: bytes | None = None) -> Isolation:
            root = parse_rootfs(rootfs)
            return Isolation(
                limits=parse_limits(
                    cpus=cpus,
                    memory=memory,
                    memory_high=memory_high,
                    swap=swap,
                    pids=pids,
                    io=io,
                    cpuset=cpuset,
                    device=device,
                ),
                rlimits=tuple({limit.name: limit for limit in map(parse_rlimit, rlimit)}.values()),
                groups=parse_groups(groups, rootfs=stored_root if root is None else root),
                tmpfs=tuple(map(parse_tmpfs, tmpfs)),
                overlays=tuple(map(parse_overlay, overlay)),
                rootfs=root,
                pass_fds=parse_pass_fds(pass_fd),
            )

        return command(isolation=isolation, **others)

    for option in reversed(_OPTIONS):
        parsed = option(parsed)
    return parsed


def _target(option: str, text: str, path: str) -> bytes:
    if not path.startswith("/") or ".." in path.split("/") or not path.strip("/"):
        raise UsageError(f"{option} {text!r}: {path!r} is no absolute path below /")
    return os.fsencode("/" + path.strip("/"))


def parse_tmpfs(text: str) -> TmpfsMount:
    """DST[:SIZE]; an eighth of the memory when SIZE is left out."""
    path, colon, size = text.rpartition(":")
    if not colon:
        return TmpfsMount(target=_target("--tmpfs", text, text))
    amount = parse_size("--tmpfs", size)
    if amount == 0:
        raise UsageError(f"--tmpfs {text!r}: a size of 0 would be no limit at all", hint=f"--tmpfs {path}:64M")
    return TmpfsMount(target=_target("--tmpfs", text, path), size=amount)


def parse_overlay(text: str) -> OverlayMount:
    """LOWER:DST."""
    lower, colon, target = text.partition(":")
    if not lower or not colon:
        raise UsageError(f"--overlay {text!r}: expected LOWER:DST", hint="--overlay /srv/data:/srv/data")
    return OverlayMount(lower=os.fsencode(os.path.abspath(lower)), target=_target("--overlay", text, target))


def parse_rootfs(text: str | None) -> bytes | None:
    """A folder of the host that is not the host's own root."""
    if text is None:
        return None
    path = os.path.realpath(text)
    if not os.path.isdir(path) or path == "/":
        raise UsageError(f"--rootfs {text}: it is not a folder with another root file system")
    return os.fsencode(path)


def parse_groups(texts: Iterable[str], *, rootfs: bytes | None = None) -> tuple[int, ...]:
    """Group ids: numbers, or names of groups of the root file system `rootfs`, or of the host."""
    from harden.launch.root_accounts import group_number

    found = []
    for word in (word for text in texts for word in text.split(",")):
        if word.isdecimal() and word.isascii():
            found.append(int(word))
        else:
            found.append(group_number(word, given=f"--groups {word!r}", rootfs=rootfs))
    return tuple(sorted(set(found)))


def parse_pass_fds(numbers: Iterable[int]) -> tuple[int, ...]:
    """Descriptors that the caller handed to harden: harden's own are all close-on-exec."""
    for number in numbers:
        try:
            inherited = number > 2 and not fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        except (OSError, OverflowError):
            inherited = False
        if not inherited:
            raise UsageError(
                f"--pass-fd {number}: harden was not given that descriptor (0, 1 and 2 are always passed)",
                hint=f"open it in the shell: harden ... --pass-fd {number} {number}<FILE",
            )
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise UsageError(
                f"--pass-fd {number}: it is a folder of the host, and a way out of the sandbox",
                hint="--bind shows a folder",
            )
    return tuple(sorted(set(numbers)))
