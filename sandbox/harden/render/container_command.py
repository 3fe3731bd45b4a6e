"""Scripts that start the workload in a container with docker or podman, confined by the other exports.

The image is the script's first argument; its files are the image's, so only what `--bind` named is mounted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

from harden.model.guarded_root import is_too_wide
from harden.model.path_text import from_text, is_utf8, to_text
from harden.model.profile import Profile
from harden.model.recording import FileOperation
from harden.model.resource_limit import LimitName
from harden.model.sandbox import NetworkMode
from harden.render.ability import has_arguments, has_files, has_inet
from harden.render.apparmor import apparmor_label
from harden.render.asked_limits import UNLIMITED, limits_of, memory_and_swap, rlimits_of
from harden.render.command import Command, command_of
from harden.render.host_view import PRIVATE_FOLDERS
from harden.render.plain_name import file_name, plain_name
from harden.render.rendered import Limit, Rendered
from harden.render.sandbox_paths import sandbox_paths
from harden.render.shell_text import Line, Verbatim, script

__all__ = ["ISOLATION", "LIMITS", "render_docker", "render_podman"]

ISOLATION: Final = frozenset(
    {"cpus", "cpuset", "devices", "groups", "hostname", "memory", "pids", "rlimits", "swap", "tmpfs"}
)

LIMITS: Final = (
    Limit("file rights: the AppArmor profile has them, and has to be loaded (apparmor_parser -r)", has_files),
    Limit("arguments of system calls and what else the seccomp file cannot say: see seccomp", has_arguments),
    Limit("network addresses and ports: the network is the engine's default or none", has_inet),
    Limit("files of the host: an image has its own; volumes are made for what the program writes", has_files),
)
_LIMIT_OPTIONS: Final = {
    LimitName.MEMORY: "--memory={0}",
    LimitName.PIDS: "--pids-limit={0}",
    LimitName.NOFILE: "--ulimit=nofile={0}:{0}",
}
_IMAGE: Final = Verbatim(b'"${1:?give the image}"')
_WRITES: Final = frozenset({FileOperation.WRITE, FileOperation.APPEND, FileOperation.TRUNCATE, FileOperation.UTIME,
                            FileOperation.XATTR, FileOperation.CHMOD, FileOperation.CHOWN})  # fmt: skip


def render_docker(profile: Profile) -> Rendered:
    """`docker run …`"""
    return _render(profile, "docker", "no-new-privileges=true")


def render_podman(profile: Profile) -> Rendered:
    """`podman run …`"""
    return _render(profile, "podman", "no-new-privileges")


def _render(profile: Profile, engine: str, no_new_privileges: str) -> Rendered:
    warnings: list[str] = []
    command = command_of(profile)
    content = script(
        [*_options(profile, engine, no_new_privileges, command, warnings), *_image(command)],
        comment=f"{engine} command written by harden from the profile {plain_name(profile)}: give the image as $1.\n"
        f"The current folder has to hold {file_name(profile, '.seccomp.json')}, and the AppArmor profile\n"
        f"{apparmor_label(profile)} has to be loaded.",
    )
    return Rendered(content=content, warnings=(*command.warnings, *warnings))


def _image(command: Command) -> Iterator[Line]:
    """The image is the script's own argument; what follows it goes to the entry point."""
    yield (_IMAGE,)
    for argument in command.arguments:
        yield (argument,)


def _options(
    profile: Profile, engine: str, no_new_privileges: str, command: Command, warnings: list[str]
) -> Iterator[Line]:
    workload = profile.workload
    yield engine.encode(), b"run", b"--rm"
    yield b"--security-opt", b"seccomp=" + file_name(profile, ".seccomp.json").encode()
    yield b"--security-opt", b"apparmor=" + apparmor_label(profile).encode()
    yield b"--security-opt", no_new_privileges.encode()
    yield (b"--cap-drop=ALL",)
    for capability in sorted(profile.rights.all_capabilities()):
        yield (b"--cap-add=" + capability.name.removeprefix("CAP_").encode(),)
    yield (b"--read-only",)
    empty = {from_text(mount.target): mount.size for mount in workload.isolation.tmpfs}
    for folder in PRIVATE_FOLDERS:
        if folder not in empty:
            yield (b"--tmpfs=" + folder,)
    for folder, size in empty.items():
        sized = () if size is None else (b"tmpfs-size=%d" % size,)
        yield from _mount((b"type=tmpfs", b"target=" + folder, *sized), folder, warnings)
    for folder in sorted(_volumes(profile, tuple(empty), warnings)):
        yield from _mount((b"type=volume", b"target=" + folder), folder, warnings)
    for bind in workload.binds:
        source, target = from_text(bind.source), from_text(bind.target)
        fields = (b"type=bind", b"source=" + source, b"target=" + target)
        yield from _mount(fields if bind.writable else (*fields, b"readonly"), target, warnings)
    if workload.network is NetworkMode.NONE and not has_inet(profile):
        yield (b"--network=none",)
    yield b"--ipc=private", b"--cgroupns=private"
    for limit, most in limits_of(profile).items():
        yield (_LIMIT_OPTIONS[limit].format(most).encode(),)
    yield from _asked(profile, warnings)
    if workload.uid is not None:
        yield (f"--user={workload.uid}:{workload.gid if workload.gid is not None else workload.uid}".encode(),)
    yield (b"--workdir=" + command.cwd,)
    for name, value in command.environment:
        yield (b"--env=" + name + b"=" + value,)
    yield (b"--entrypoint=" + command.program,)


def _asked(profile: Profile, warnings: list[str]) -> Iterator[Line]:
    """What `trace` was given, beside mounts and the limits that profiles have too."""
    isolation = profile.workload.isolation
    for name, soft, hard in rlimits_of(profile):
        if name == "as":
            warnings.append("--rlimit as: left out, no engine takes it")
        else:
            most = ":".join("-1" if value == UNLIMITED else str(value) for value in (soft, hard))
            yield (f"--ulimit={name}={most}".encode(),)
    both = memory_and_swap(profile)
    if both is not None:
        yield (b"--memory-swap=%d" % both,)
    elif isolation.swap is not None:
        warnings.append(f"--swap {isolation.swap}: left out, an engine limits it with memory only")
    if isolation.cpus is not None:
        yield (f"--cpus={isolation.cpus:g}".encode(),)
    if isolation.cpuset:
        yield (b"--cpuset-cpus=" + isolation.cpuset.encode(),)
    if isolation.hostname:
        yield (b"--hostname=" + isolation.hostname.encode(),)
    for group in isolation.groups:
        yield (b"--group-add=%d" % group,)
    for device in isolation.devices:
        path = from_text(device.path)
        if b":" in path or not is_utf8(path):
            warnings.append(
                f"--device {device.path}: left out, an engine takes names in UTF-8 and without a colon only"
            )
        else:
            yield (b"--device=" + b":".join((path, path, device.access.encode())),)


def _mount(fields: tuple[bytes, ...], target: bytes, warnings: list[str]) -> Iterator[Line]:
    """`--mount` takes one CSV record; the engines hand it on as JSON, which holds UTF-8 only."""
    joined = b"".join(fields)
    if not is_utf8(joined):
        warnings.append(f"{to_text(target)}: left out, an engine takes names in UTF-8 only")
        return
    if b"\r" in joined or b"\n" in joined:
        warnings.append(f"{to_text(target)}: left out, --mount takes one line")
        return
    yield (b"--mount=" + b",".join(map(_field, fields)),)


def _field(field: bytes) -> bytes:
    return b'"' + field.replace(b'"', b'""') + b'"' if b"," in field or b'"' in field else field


def _volumes(profile: Profile, mounted: tuple[bytes, ...], warnings: list[str]) -> set[bytes]:
    """A volume is a folder: for a file it is the folder that holds it, unless others' files are there too."""
    paths = sandbox_paths(profile, mounted)
    files = {
        pattern.path
        for pattern, operations in profile.rights.all_files()
        if pattern.is_literal and operations & _WRITES and FileOperation.LIST not in operations
    }
    found: set[bytes] = set()
    for path in (*paths.writable, *paths.folders):
        if path not in files or path in paths.folders:
            found.add(path)
            continue
        folder = posixpath.dirname(path)
        if is_too_wide(folder):
            warnings.append(f"{to_text(path)}: left out, a volume for it would hide {to_text(folder)} of the image")
        else:
            warnings.append(f"{to_text(path)}: all of {to_text(folder)} is a volume for it")
            found.add(folder)
    return {path for path in found if path != from_text(profile.workload.cwd) or path in paths.writable}
