"""Keeps a program from editing the profiles it runs under, where it may write into the folder that holds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from harden.errors import HardenError
from harden.folder import LOCAL_SUFFIX, PROFILE_SUFFIX, RECORDING_SUFFIX, VERIFIED_SUFFIX
from harden.kernel import atomic_file
from harden.model.profile import LOCAL_FORMAT
from harden.model.sandbox import Bind, SandboxSpec

__all__ = ["guards"]

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
    folder: Path, spec: SandboxSpec, *, also: Sequence[Path] = (), inside: bool = True, make_missing: bool = True
) -> tuple[Bind, ...]:
    """Read-only mounts over every file of a profile in `folder` that `spec` would show writable.

    A file that is a mount point can be neither written, renamed nor removed (rename(2), EBUSY). `also` names further
    files to cover. A name that does not exist cannot be covered: with `make_missing` a profile without a recording, a
    local file or a result of `verify` gets an empty one where the program could make it. Raises HardenError when a
    folder above is writable, because the whole folder could be exchanged then, or, unless `inside` is allowed, the
    folder itself.
    """
    real = os.fsencode(os.path.realpath(folder))
    shown = tuple(_shown_writable(spec))
    above = [source for source, _ in shown if _holds(source, real) and not (inside and source == real)]
    if above:
        raise HardenError(
            f"the program may write into {os.fsdecode(min(above))}, which holds the folder of its own profile",
            hint="keep the profile elsewhere: harden trace --out DIR, harden run -p DIR/NAME.profile.toml",
        )
    further = [os.fsencode(os.path.realpath(path)) for path in also]
    _check_further(further, shown)
    _check_cache(shown)
    if make_missing and any(source == real for source, _ in shown):
        _make_missing(real)
    covered = [os.path.join(real, name) for name in sorted(os.listdir(real)) if name.endswith(_SUFFIXES)]
    covered += further
    return tuple(
        Bind(source=path, target=target + path[len(source) :])
        for path in covered
        for source, target in shown
        if _holds(source, path) and _is_regular(path)
    )


def _check_further(paths: Sequence[bytes], shown: Sequence[tuple[bytes, bytes]]) -> None:
    """A file that is covered stays where it is; the folder around it could be renamed, and another one put there."""
    for path in paths:
        folder = os.path.dirname(path)
        for source, _ in shown:
            if _holds(source, folder) and source != folder:
                raise HardenError(
                    f"the program may write into {os.fsdecode(source)} and exchange the folder of {os.fsdecode(path)}",
                    hint=f"have it written elsewhere, or right into {os.fsdecode(source)}",
                )


def _check_cache(shown: Sequence[tuple[bytes, bytes]]) -> None:
    """Whoever can write a kept plan decides what the next start is allowed: this user's, or that of another."""
    for source, _ in shown:
        for cache in _caches(source):
            if _holds(source, cache) or _holds(cache, source):
                raise HardenError(
                    f"the program may write into {os.fsdecode(source)}: harden keeps its plans in {os.fsdecode(cache)}",
                    hint="grant it a narrower path",
                )


def _caches(source: bytes) -> Iterator[bytes]:
    """Where plans are kept (harden.launch.cached_plan), as far as `source` can have to do with it.

    Not by $XDG_RUNTIME_DIR: the next start may have another one.
    """
    runtimes = {b"/run", b"%s/%d" % (_USERS, os.geteuid())}
    if (_holds(source, _USERS) or _holds(_USERS, source)) and os.path.isdir(_USERS):
        runtimes.update(os.path.join(_USERS, name) for name in os.listdir(_USERS))
    for runtime in sorted(runtimes):
        yield os.path.join(os.path.realpath(runtime), b"harden")


def _shown_writable(spec: SandboxSpec) -> Iterator[tuple[bytes, bytes]]:
    """What reaches the host: the path there, with links resolved, and where it is seen inside."""
    # With another root its own files are written, among which no profile lies.
    for path in spec.writable if spec.isolation.rootfs is None else ():
        yield os.path.realpath(path), path
    for bind in spec.binds:
        if bind.writable:
            yield os.path.realpath(bind.source), bind.target


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


def _holds(outer: bytes, inner: bytes) -> bool:
    return outer == inner or inner.startswith(outer.rstrip(b"/") + b"/")
