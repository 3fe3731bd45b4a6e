"""Files that a program was not let at, by which control, and the rule that would let it."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final, NamedTuple

import msgspec

from harden.generate.apparmor_log import AppArmorLog
from harden.generate.history import History
from harden.model.control import Control
from harden.model.cover import FileIndex
from harden.model.denial import Denial, DenialSource
from harden.model.guarded_root import OWN, PRIVATE, is_beneath
from harden.model.need import normal_path
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.profile import LocalRights, Profile, render_file_rights
from harden.model.recording import FileOperation, FileSeen, Run
from harden.model.refused_anyway import TOPOLOGY

__all__ = ["Circumstances", "denied_files", "hidden_candidates", "refused_paths"]

_UNRULED_BY_LANDLOCK: Final = frozenset(
    {FileOperation.STAT, FileOperation.LOCK, FileOperation.CHMOD, FileOperation.CHOWN, FileOperation.UTIME,
     FileOperation.XATTR}
)  # fmt: skip
_ALWAYS_SHOWN: Final = (b"/usr", b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/libx32")
_NO_TERMINALS: Final = frozenset(rb"/dev/null /dev/zero /dev/full /dev/random /dev/urandom".split())
"""isatty(3) asks every file that is opened; these say ENOTTY, so that the program loses nothing by EACCES."""
_TO_EXECUTE: Final = frozenset({FileOperation.EXEC, FileOperation.READ, FileOperation.MAP})
_BIND: Final = "no rule shows it: trace the program again with --bind PATH"
_OWN: Final = "no rule shows it: /proc, /sys and /dev are the sandbox's own"
_TOO_WIDE: Final = (
    "the profile grants it, but no control can be that narrow: `harden run --plan` says why; --bind gives a folder"
)
_APART: Final = (
    "the profile grants it, but the view shows the two folders as two mounts; --bind a folder that holds both"
)

_THROUGH_LINK: Final = (
    "the profile grants it, but there is a symbolic link in the path, and Landlock gives no right through one that the "
    "program can have made, nor to change a folder of others: name where it leads"
)
_NO_MOUNTS: Final = (
    "no rule allows it: Landlock lets no process change what is mounted; a program that needs it needs "
    'landlock = "off" in the local file'
)


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What the attribution of a file's denial depends on, beside the run itself."""

    profile: Profile
    history: History
    on_host: frozenset[str]
    """Those of `hidden_candidates` that the host has."""
    linked: frozenset[str]
    """Those of `refused_paths` that have a symbolic link of the host in them."""
    in_force: frozenset[Control]
    refused_calls: frozenset[tuple[str, str, str]]
    """Executable, call and errno of what seccomp refused: those failures are its doing."""
    privileged: frozenset[tuple[str, str]]
    """Executable and call where a denied capability explains an EACCES or EPERM."""
    log: AppArmorLog = AppArmorLog()


class _Attempt(NamedTuple):
    executable: str
    syscall: str
    path: str
    result: str


def hidden_candidates(run: Run, history: History) -> frozenset[str]:
    """The paths that were not there although nothing recorded says that they never are."""
    reached = {seen.path for seen in run.files if seen.result == "ok"}
    return frozenset(
        seen.path
        for seen in run.files
        if seen.result == "ENOENT"
        and seen.path not in reached
        and not history.file(seen.path, seen.operation, "ENOENT")
        and (history.path(seen.path, "ok") or not history.path(seen.path, "ENOENT"))
    )


def refused_paths(run: Run) -> frozenset[str]:
    """The paths that something was refused on with EACCES."""
    return frozenset(seen.path for seen in run.files if seen.result == "EACCES")


def denied_files(run: Run, around: Circumstances) -> Iterator[Denial]:
    """One denial per program, call, path and errno; what also failed so when it was recorded is none."""
    index = FileIndex(around.profile.rights)
    hidden = hidden_candidates(run, around.history)
    for attempt, seen in sorted(_attempts(run, around).items()):
        path = normal_path(attempt.path)
        if path is None:
            continue
        operations = frozenset(each.operation for each in seen)
        explained = _EXPLAIN[attempt.result](attempt, path, operations, index.operations(path), hidden, around)
        if explained is None:
            continue
        control, missing, advice = explained
        logged = control is Control.APPARMOR and path in around.log.names
        yield Denial(
            control=control,
            source=DenialSource.AUDIT if logged else DenialSource.ERRNO,
            executable=attempt.executable,
            call=attempt.syscall,
            paths=(attempt.path,),
            result=attempt.result,
            count=max(each.count for each in seen),
            recorded=around.history.was_let(
                all(around.history.file(attempt.path, operation, "ok") for operation in operations)
            ),
            add=_rule(path, missing) if not advice else LocalRights(),
            advice=advice,
        )


def _attempts(run: Run, around: Circumstances) -> Mapping[_Attempt, Sequence[FileSeen]]:
    """Failures that may be denials, operations of one call together."""
    found: dict[_Attempt, list[FileSeen]] = defaultdict(list)
    for seen in run.files:
        if (
            seen.result in _EXPLAIN
            and (seen.executable, seen.syscall, seen.result) not in around.refused_calls
            and not around.history.file(seen.path, seen.operation, seen.result)
            and not around.history.never_worked(seen.path, seen.operation)
        ):
            found[_Attempt(seen.executable, seen.syscall, seen.path, seen.result)].append(seen)
    return found


def _rule(path: bytes, missing: Set[FileOperation]) -> LocalRights:
    wanted = frozenset(missing) | (_TO_EXECUTE if FileOperation.EXEC in missing else frozenset())
    return LocalRights(files={PathPattern.literal(path).text: render_file_rights(wanted)})


_Explained = tuple[Control | None, frozenset[FileOperation], str] | None
"""The control, the rights that are missing, and the advice where no rule helps; None: no denial."""


def _not_there(
    attempt: _Attempt,
    path: bytes,
    operations: frozenset[FileOperation],
    granted: frozenset[FileOperation],
    hidden: frozenset[str],
    around: Circumstances,
) -> _Explained:
    if attempt.path not in hidden or granted or any(is_beneath(path, root) for root in _ALWAYS_SHOWN):
        return None
    if attempt.path not in around.on_host and not around.history.path(attempt.path, "ok"):
        return None
    if is_beneath(path, b"/proc"):
        # The host's processes are not the sandbox's: what is missing here was never the program's.
        return None
    advice = ""
    if any(is_beneath(path, root) for root in OWN):
        advice = _OWN
    elif FileOperation.CONNECT in operations or _is_private(path, around.profile):
        advice = _BIND.replace("PATH", attempt.path)
    return Control.FILESYSTEM_VIEW, operations, advice


def _is_private(path: bytes, profile: Profile) -> bool:
    """Whether the sandbox has an empty folder of its own there; the workload's own folders are shown in spite of it."""
    workload = profile.workload
    shown = (from_text(workload.cwd), posixpath.dirname(from_text(workload.program)))
    return any(is_beneath(path, root) for root in PRIVATE) and not any(
        is_beneath(path, folder) for folder in shown if folder not in PRIVATE and folder != b"/"
    )


def _read_only(
    attempt: _Attempt,
    path: bytes,
    operations: frozenset[FileOperation],
    granted: frozenset[FileOperation],
    hidden: frozenset[str],
    around: Circumstances,
) -> _Explained:
    missing = operations - granted
    return Control.FILESYSTEM_VIEW, missing, "" if missing else _TOO_WIDE


def _no_access(
    attempt: _Attempt,
    path: bytes,
    operations: frozenset[FileOperation],
    granted: frozenset[FileOperation],
    hidden: frozenset[str],
    around: Circumstances,
) -> _Explained:
    missing = operations - granted
    if missing == {FileOperation.IOCTL} and path in _NO_TERMINALS:
        return None
    if path in around.log.names:
        # It is asked last: no other control refused this.
        return Control.APPARMOR, missing or around.log.names[path], ""
    if missing - _UNRULED_BY_LANDLOCK and Control.LANDLOCK in around.in_force:
        return Control.LANDLOCK, missing, ""
    if (attempt.executable, attempt.syscall) in around.privileged:
        return None
    if operations - _UNRULED_BY_LANDLOCK and attempt.path in around.linked and Control.LANDLOCK in around.in_force:
        return Control.LANDLOCK, frozenset(), _THROUGH_LINK
    if Control.APPARMOR in around.in_force and missing and not around.log.is_complete:
        return Control.APPARMOR, missing, ""
    return _unexplained(attempt, operations, around)


def _not_permitted(
    attempt: _Attempt,
    path: bytes,
    operations: frozenset[FileOperation],
    granted: frozenset[FileOperation],
    hidden: frozenset[str],
    around: Circumstances,
) -> _Explained:
    if (attempt.executable, attempt.syscall) in around.privileged:
        return None
    if attempt.syscall in TOPOLOGY and Control.LANDLOCK in around.in_force:
        return Control.LANDLOCK, frozenset(), _NO_MOUNTS
    return _unexplained(attempt, operations, around)


def _unexplained(attempt: _Attempt, operations: frozenset[FileOperation], around: Circumstances) -> _Explained:
    """What the kernel let the recorded program do and refuses now is a denial, whoever refuses it."""
    if not all(around.history.file(attempt.path, operation, "ok") for operation in operations):
        return None
    return None, frozenset(), "no control of harden's explains it: look at the file's owner and mode"


def _across(
    attempt: _Attempt,
    path: bytes,
    operations: frozenset[FileOperation],
    granted: frozenset[FileOperation],
    hidden: frozenset[str],
    around: Circumstances,
) -> _Explained:
    missing = operations - granted
    if missing:
        # Landlock answers EXDEV and not EACCES where only the right to change folders is missing.
        return Control.LANDLOCK, missing, ""
    return Control.FILESYSTEM_VIEW, frozenset(), _APART


_EXPLAIN: Final = {
    "EACCES": _no_access,
    "ENOENT": _not_there,
    "EPERM": _not_permitted,
    "EROFS": _read_only,
    "EXDEV": _across,
}
"""By errno: who refuses with it. Every other errno is the file system's own answer."""
