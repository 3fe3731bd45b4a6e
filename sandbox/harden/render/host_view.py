"""The minimal view of the host as plain bind mounts, for launchers that make a root of their own from it."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.model.arch import Arch
from harden.model.guarded_root import PRIVATE, is_too_wide
from harden.model.path_text import from_text, to_text
from harden.model.profile import Profile
from harden.model.widening import Widening
from harden.render.sandbox_paths import sandbox_paths

__all__ = ["PRIVATE_FOLDERS", "HostView", "Mount", "host_view"]

PRIVATE_FOLDERS: Final = tuple(folder for folder in PRIVATE if folder != b"/dev/shm")
"""Empty and private; /dev/shm comes with /dev."""
_SYSTEM: Final = (b"/usr", b"/bin", b"/lib", b"/sbin")
_LOADERS: Final = {Arch.X86_64: (b"/lib64",), Arch.I386: (b"/lib32",), Arch.X32: (b"/libx32",), Arch.AARCH64: ()}
_LOOKED_AT: Final = "only its attributes are asked for, a mount shows its content too"


class Mount(msgspec.Struct, frozen=True, order=True):
    """`source` of the host shown as `target`."""

    target: bytes
    source: bytes
    writable: bool = False


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """Mounts, parents first, empty folders, and where more is shown than the profile names."""

    mounts: tuple[Mount, ...]
    folders: tuple[bytes, ...]
    widenings: tuple[Widening, ...]


def host_view(profile: Profile) -> HostView:
    """What `harden run` shows, without what only its own launcher can do."""
    empty = tuple(from_text(mount.target) for mount in profile.workload.isolation.tmpfs)
    paths, widenings = sandbox_paths(profile, empty), set[Widening]()
    system = [*_SYSTEM, *(path for arch in profile.rights.architectures for path in _LOADERS[arch])]
    mounts = {path: Mount(path, path) for path in (*system, *paths.visible)}
    folders = set(paths.folders)
    for path in paths.looked_at:
        if is_too_wide(path):
            folders.add(path)
            continue
        mounts[path] = Mount(path, path)
        widenings.add(Widening(asked=f"stat {to_text(path)}", granted=f"read {to_text(path)}", reason=_LOOKED_AT))
    mounts |= {path: Mount(path, path, True) for path in paths.writable}
    for bind in profile.workload.binds:
        target = from_text(bind.target)
        mounts[target] = Mount(target, from_text(bind.source), bind.writable)
    return HostView(
        mounts=tuple(sorted(mounts.values(), key=lambda mount: mount.target.split(b"/"))),
        folders=tuple(sorted(folders - mounts.keys() - {b"/"})),
        widenings=tuple(sorted({*paths.widenings, *widenings})),
    )
