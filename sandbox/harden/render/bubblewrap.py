"""A script that starts the workload with bwrap(1): host view, namespaces, capabilities, the raw filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.model.path_text import from_text
from harden.model.profile import Profile
from harden.model.sandbox import NetworkMode
from harden.render.ability import has_files, has_network
from harden.render.command import Command, command_of
from harden.render.host_view import PRIVATE_FOLDERS, HostView, host_view
from harden.render.no_limits import NO_LIMITS
from harden.render.plain_name import file_name, plain_name
from harden.render.rendered import Limit, Rendered
from harden.render.runtime_rights import runtimes, with_runtime
from harden.render.seccomp_bpf import LIMITS as BPF_LIMITS
from harden.render.seccomp_bpf import render_bpf
from harden.render.shell_text import Line, Verbatim, script
from harden.render.widening_text import summarize

__all__ = ["FILTER_LIMITS", "ISOLATION", "LIMITS", "render_bubblewrap", "render_bubblewrap_filter"]

FILTER_LIMITS: Final = BPF_LIMITS
ISOLATION: Final = frozenset({"hostname", "tmpfs"})
_FILTER: Final = ".bwrap.bpf"

LIMITS: Final = (
    Limit("files are shown or not, writable or not: Landlock's rights are not applied", has_files),
    Limit("network addresses and ports: the network is the host's or none", has_network),
    Limit("user and group ids are those of the caller alone, and files of others belong to nobody"),
    NO_LIMITS,
)
_DESCRIPTOR: Final = 9
"""POSIX shells take one digit."""


def render_bubblewrap(profile: Profile) -> Rendered:
    """The script; it reads the filter of the same profile (`bubblewrap-filter`) from beside itself."""
    view, command = host_view(profile), command_of(profile)
    filter_name = file_name(profile, _FILTER)
    content = script(
        [*_lines(profile, view, command), (_redirection(filter_name),)],
        comment=f"bwrap command written by harden from the profile {plain_name(profile)}.\n"
        f"Its filter is {filter_name} beside it: harden export --format bubblewrap-filter",
    )
    return Rendered(content=content, warnings=(*command.warnings, *summarize(view.widenings)))


def render_bubblewrap_filter(profile: Profile) -> Rendered:
    """The raw filter, with what bwrap itself calls under it: its process 1 is under the filter too."""
    wider, notes = with_runtime(profile, runtimes()["bwrap"])
    return Rendered(content=render_bpf(wider).content, warnings=notes)


def _redirection(filter_name: str) -> Verbatim:
    """The name holds nothing that a shell would take for more: see `plain_name`."""
    return Verbatim(f'{_DESCRIPTOR}<"$(dirname -- "$0")/{filter_name}"'.encode("ascii"))


def _mounts(profile: Profile, view: HostView) -> Iterator[Line]:
    """Outer places first: what is mounted on one later covers what was there."""
    lines: dict[bytes, Line] = {
        mount.target: (b"--bind-try" if mount.writable else b"--ro-bind-try", mount.source, mount.target)
        for mount in view.mounts
    }
    for empty in profile.workload.isolation.tmpfs:
        target = from_text(empty.target)
        size = () if empty.size is None else (b"--size", b"%d" % empty.size)
        lines[target] = (b"--perms", b"1777", *size, b"--tmpfs", target)
    for target in sorted(lines, key=lambda path: path.split(b"/")):
        yield lines[target]


def _lines(profile: Profile, view: HostView, command: Command) -> Iterator[Line]:
    workload = profile.workload
    yield (b"bwrap",)
    yield (b"--unshare-all", b"--unshare-user", b"--disable-userns", b"--die-with-parent", b"--new-session")
    if workload.network is NetworkMode.HOST:
        yield (b"--share-net",)
    yield b"--hostname", (workload.isolation.hostname or "harden").encode()
    if workload.uid is not None:
        yield b"--uid", str(workload.uid).encode()
    if workload.gid is not None:
        yield b"--gid", str(workload.gid).encode()
    yield b"--cap-drop", b"ALL"
    for capability in sorted(profile.rights.all_capabilities()):
        yield b"--cap-add", capability.name.encode()
    for folder in PRIVATE_FOLDERS:
        yield b"--tmpfs", folder
    yield b"--proc", b"/proc"
    yield b"--dev", b"/dev"
    yield from _mounts(profile, view)
    for folder in view.folders:
        yield b"--dir", folder
    yield (b"--clearenv",)
    for name, value in command.environment:
        yield b"--setenv", name, value
    yield b"--chdir", command.cwd
    yield b"--seccomp", str(_DESCRIPTOR).encode()
    yield b"--", command.program
    for argument in command.arguments:
        yield (argument,)
