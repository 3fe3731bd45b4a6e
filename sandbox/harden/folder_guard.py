"""Keeps a program from editing the profiles it runs under, where it may write into the folder that holds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from harden.errors import HardenError
from harden.folder import LOCAL_SUFFIX, PROFILE_SUFFIX, RECORDING_SUFFIX, VERIFIED_SUFFIX
from harden.kernel import atomic_file
from harden.launch.symlinks import resolve
from harden.model.guarded_root import is_beneath
from harden.model.profile import LOCAL_FORMAT
from harden.model.sandbox import Bind, SandboxSpec
from harden.way import Way, way_to

__all__ = ["check_folder", "check_results", "guards", "shown_writable"]

_PLACEHOLDER: Final = f"""\
# Yours: additions, removals and [controls] for the profile beside it. Only `harden refine` and
# `harden verify --minimize` add to it, when told to.
# It was made empty by harden, because the program may write into this folder and must not make one for itself.
format = "{LOCAL_FORMAT}"
"""
_MISSING: Final = (
    (LOCAL_SUFFIX, _PLACEHOLDER.encode(), 0o644),
    (RECORDING_SUFFIX, b"", 0o600),
    (VERIFIED_SUFFIX, b"", 0o644),
)
_USERS: Final = b"/run/user"
_SUFFIXES: Final = tuple(os.fsencode(suffix) for suffix in (PROFILE_SUFFIX, *(row[0] for row in _MISSING)))


def guards(
    folder: Path, spec: SandboxSpec, *, also: Sequence[Way] = (), inside: bool = True, make_missing: bool = True
) -> tuple[Bind, ...]:
    """Read-only mounts over every file of a profile in `folder` that `spec` would show writable.

    A file that is a mount point can be neither written, renamed nor removed (rename(2), EBUSY). `also` leads to further
    files to cover, which check_results has judged. A name that does not exist cannot be covered: with `make_missing` a
    profile without a recording, a local file or a result of `verify` gets an empty one where the program could make it.
    Raises HardenError as check_folder does.
    """
    way = way_to(folder)
    real = way.path
    shown = shown_writable(spec.writable, spec.binds, rootfs=spec.isolation.rootfs)
    check_folder(way, shown, inside=inside)
    _check_cache(shown)
    if make_missing and any(source == real for source, _ in shown):
        _make_missing(real)
    covered = [os.path.join(real, name) for name in sorted(os.listdir(real)) if name.endswith(_SUFFIXES)]
    covered += [way.path for way in also]
    return tuple(
        Bind(source=path, target=target.rstrip(b"/") + path[len(source.rstrip(b"/")) :])
        for path in covered
        for source, target in shown
        if is_beneath(path, source) and _is_regular(path)
    )


def check_folder(way: Way, shown: Sequence[tuple[bytes, bytes]], *, inside: bool) -> None:
    """Raises HardenError where the program may write into a folder on the way to that of its profile, because it could
    put another folder, or a link, in place of it, or has done so; unless `inside` is allowed, into that folder too.
    """
    above = [source for source, _ in shown if way.entry_in(source) or (source == way.path and not inside)]
    if above:
        raise HardenError(
            f"the program may write into {os.fsdecode(min(above))}, which holds the folder of its own profile",
            hint="keep the profile elsewhere: harden trace --out DIR, harden run -p DIR/NAME.profile.toml",
        )


def check_results(results: Iterable[Way], shown: Sequence[tuple[bytes, bytes]]) -> None:
    """A file that is covered stays where it is; the folder around it could be renamed, and another one put there, or a
    link, which an earlier run can have done already. Raises HardenError for a way that the program can change.
    """
    for way in results:
        for source, _ in shown:
            entry = way.entry_in(source)
            if entry is None:
                continue
            place, exchanged, path = map(os.fsdecode, (source, entry, way.path))
            hint = f"have it written elsewhere, or right into {place}"
            if entry in way.links:
                hint = f"check who made the symbolic link {exchanged}; {hint}"
            raise HardenError(
                f"the program may write into {place} and exchange {exchanged}, through which {path} is reached",
                hint=hint,
            )


def _check_cache(shown: Sequence[tuple[bytes, bytes]]) -> None:
    """Whoever can write a kept plan decides what the next start is allowed: this user's, or that of another."""
    for source, _ in shown:
        for cache in _caches(source):
            if is_beneath(cache, source) or is_beneath(source, cache):
                raise HardenError(
                    f"the program may write into {os.fsdecode(source)}: harden keeps its plans in {os.fsdecode(cache)}",
                    hint="grant it a narrower path",
                )


def _caches(source: bytes) -> Iterator[bytes]:
    """Where plans are kept (harden.launch.cached_plan), as far as `source` can have to do with it.

    Not by $XDG_RUNTIME_DIR: the next start may have another one.
    """
    runtimes = {b"/run", b"%s/%d" % (_USERS, os.geteuid())}
    if (is_beneath(_USERS, source) or is_beneath(source, _USERS)) and os.path.isdir(_USERS):
        runtimes.update(os.path.join(_USERS, name) for name in os.listdir(_USERS))
    for runtime in sorted(runtimes):
        yield os.path.join(os.path.realpath(runtime), b"harden")


def shown_writable(
    writable: Iterable[bytes], binds: Iterable[Bind], *, rootfs: bytes | None
) -> tuple[tuple[bytes, bytes], ...]:
    """What reaches the host: the path there, with links resolved, and where it is seen inside."""
    named = [(path, path) for path in writable]
    if rootfs is not None:
        # No link in it leads out of it; what is not there is not shown.
        found = [resolve(path, rootfs) for path, _ in named]
        named = [(rootfs + each.path, each.path) for each in found if each is not None]
    named += [(bind.source, bind.target) for bind in binds if bind.writable]
    return tuple((os.path.realpath(source), target) for source, target in named)


def _make_missing(folder: bytes) -> None:
    names = frozenset(os.listdir(folder))
    for name in sorted(names):
        path = os.path.join(folder, name)
        if not name.endswith(os.fsencode(PROFILE_SUFFIX)) or not _is_regular(path):
            continue
        stem = path.removesuffix(os.fsencode(PROFILE_SUFFIX))
        for suffix, content, mode in _MISSING:
            missing = stem + os.fsencode(suffix)
            if os.path.basename(missing) not in names:
                atomic_file.replace(Path(os.fsdecode(missing)), content, mode=mode)


def _is_regular(path: bytes) -> bool:
    """Not through a link: what is covered must be the file of that name."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
