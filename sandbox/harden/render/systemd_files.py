"""What a systemd service sees of the host: read-only as a whole, with exceptions for what the profile grants.

Source: systemd.exec(5), "Sandboxing" and "Paths".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from harden.model.guarded_root import PRIVATE, is_beneath, is_too_wide
from harden.model.path_text import from_text, to_text
from harden.model.profile import Profile
from harden.model.recording import FileOperation
from harden.model.widening import Widening
from harden.render.ability import CHANGES, uses_beneath
from harden.render.quoted import Quoted
from harden.render.sandbox_paths import sandbox_paths
from harden.render.systemd_word import path_word

__all__ = ["Setting", "device_settings", "file_settings"]

Setting = tuple[str, Quoted]

_HOMES: Final = (b"/home", b"/root", b"/run/user")
_TEMPORARY: Final = (b"/tmp", b"/var/tmp")
_SECRETS: Final = (
    *(b"/boot", b"/lost+found", b"/media", b"/mnt", b"/opt", b"/srv", b"/etc/gshadow", b"/etc/shadow", b"/etc/ssh"),
    *(b"/etc/sudoers", b"/etc/sudoers.d", b"/etc/ssl/private", b"/var/backups", b"/var/spool/cron"),
)
"""Made inaccessible unless the profile has a right there."""
_EXECUTES: Final = frozenset({FileOperation.EXEC, FileOperation.MAP})
_PSEUDO: Final = frozenset(
    b"/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx /dev/fd /dev/log /dev/stdin /dev/stdout"
    b" /dev/stderr".split()
)
_PSEUDO_FOLDERS: Final = (b"/dev/pts", b"/dev/shm", b"/dev/mqueue", b"/dev/hugepages")
_PATTERN: Final = "systemd has no patterns of paths"
_TO_WRITE: Final = "writable"


def file_settings(profile: Profile, warnings: list[str], widenings: list[Widening]) -> Iterator[Setting]:
    """The mounts of the service, and which files may be executed or mapped executable."""
    granted, paths = list(profile.rights.all_files()), sandbox_paths(profile)
    binds = [(from_text(bind.source), from_text(bind.target), bind.writable) for bind in profile.workload.binds]
    own = (from_text(profile.workload.cwd), from_text(profile.workload.program))
    widenings += [each for each in paths.widenings if not each.granted or each.granted.startswith(_TO_WRITE)]
    yield "ProtectSystem", Quoted("strict")
    homes = [path for path in (*paths.visible, *paths.looked_at, *paths.writable, *paths.folders) if _is_in_home(path)]
    at_home = homes or any(_is_in_home(path) for path in (*own, *(target for _, target, _ in binds)))
    yield "ProtectHome", Quoted("tmpfs" if at_home else "yes")
    if not any(is_beneath(path, folder) for path in own for folder in _TEMPORARY):
        yield "PrivateTmp", Quoted("yes")
    else:
        warnings.append("PrivateTmp=: left out, the program or its folder is in /tmp")
    yield "TemporaryFileSystem", Quoted("/run:mode=0755 /dev/shm:mode=1777")
    hidden = [
        path for path in _SECRETS
        if not uses_beneath(granted, path) and not any(is_beneath(each, path) for each in (*own, *_targets(binds)))
    ]  # fmt: skip
    yield from _words("InaccessiblePaths", hidden, warnings)
    made = [path for path in paths.folders if path not in own]
    for folder in made:
        warnings.append(f"{to_text(folder)}: make it before the start (StateDirectory=), the service cannot")
    writable = [*paths.writable, *made]
    yield from _words("ReadWritePaths", [path for path in writable if not _is_in_home(path)], warnings)
    shown = {path for path in homes if path not in writable} | {each for each in own if _is_in_home(each)}
    shown -= {path for path in shown if any(is_beneath(path, each) for each in writable)}
    yield from _binds("BindPaths", [(path, path) for path in writable if _is_in_home(path)], warnings)
    yield from _binds("BindReadOnlyPaths", [(path, path) for path in sorted(shown)], warnings)
    yield from _binds("BindReadOnlyPaths", [(path, path) for path in _sockets(profile)], warnings)
    yield from _binds("BindReadOnlyPaths", [(source, target) for source, target, rw in binds if not rw], warnings)
    yield from _binds("BindPaths", [(source, target) for source, target, rw in binds if rw], warnings)
    yield "NoExecPaths", Quoted("/")
    yield from _words("ExecPaths", _executables(profile, widenings), warnings)


def _targets(binds: list[tuple[bytes, bytes, bool]]) -> list[bytes]:
    return [target for _, target, _ in binds]


def _is_in_home(path: bytes) -> bool:
    return any(is_beneath(path, home) for home in _HOMES)


def _sockets(profile: Profile) -> list[bytes]:
    """Sockets in folders that are private otherwise."""
    return [
        pattern.path
        for pattern, operations in profile.rights.all_files()
        if FileOperation.CONNECT in operations and pattern.is_literal and not operations & CHANGES
        and any(is_beneath(pattern.path, root) for root in PRIVATE)
    ]  # fmt: skip


def _executables(profile: Profile, widenings: list[Widening]) -> list[bytes]:
    found: set[bytes] = set()
    for pattern, operations in profile.rights.all_files():
        if not operations & _EXECUTES or pattern.text == "/":
            continue
        if pattern.is_literal:
            found.add(pattern.path)
            continue
        wide = is_too_wide(pattern.folder)
        granted = "" if wide else f"exec map beneath {to_text(pattern.folder)}"
        widenings.append(Widening(asked=f"exec map {pattern.text}", granted=granted, reason=_PATTERN))
        found |= set() if wide else {pattern.folder}
    return sorted(found)


def _words(key: str, paths: Iterable[bytes], warnings: list[str]) -> Iterator[Setting]:
    """One line for each path, so that a diff shows what changed."""
    for path in paths:
        word = path_word(path)
        if word is None:
            warnings.append(f"{to_text(path)}: left out of {key}=, a unit file cannot hold such a name")
        else:
            yield key, word


def _binds(key: str, pairs: Iterable[tuple[bytes, bytes]], warnings: list[str]) -> Iterator[Setting]:
    for source, target in pairs:
        outside = path_word(source, separates_colons=True)
        inside = path_word(target, separates_colons=True)
        if outside is None or inside is None:
            warnings.append(f"{to_text(target)}: left out of {key}=, a unit file cannot hold such a name")
        elif source == target:
            yield key, outside
        else:
            # The sign for "if it exists" is the source's alone.
            yield key, Quoted(f'{outside}:"{inside[2:]}')


def device_settings(profile: Profile, warnings: list[str]) -> Iterator[Setting]:
    """The devices beside the pseudo-devices that every service has."""
    devices = [
        (pattern, operations)
        for pattern, operations in profile.rights.all_files()
        if is_beneath(pattern.folder, b"/dev")
        and not _is_pseudo(pattern.path if pattern.is_literal else pattern.folder)
    ]
    names = {capability.name for capability in profile.rights.all_capabilities()}
    if not devices and not profile.workload.isolation.devices and not names & {"CAP_MKNOD", "CAP_SYS_RAWIO"}:
        yield "PrivateDevices", Quoted("yes")
    yield "DevicePolicy", Quoted("closed")
    for pattern, operations in devices:
        access = _device_access(operations)
        word = path_word(pattern.path) if pattern.is_literal else None
        if access and word is None:
            warnings.append(f"{pattern.text}: left out of DeviceAllow=, which takes one plain path")
        elif access:
            yield "DeviceAllow", Quoted(f'"{str(word)[2:]} {access}')


def _is_pseudo(path: bytes) -> bool:
    return path in _PSEUDO or any(is_beneath(path, folder) for folder in _PSEUDO_FOLDERS)


def _device_access(operations: frozenset[FileOperation]) -> str:
    reads = operations & {FileOperation.READ, FileOperation.IOCTL}
    writes = operations & {FileOperation.WRITE, FileOperation.APPEND, FileOperation.TRUNCATE}
    makes = FileOperation.MKNOD in operations
    return f"{'r' if reads else ''}{'w' if writes else ''}{'m' if makes else ''}"
