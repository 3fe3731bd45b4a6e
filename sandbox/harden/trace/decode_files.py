"""Names for what was done to paths."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from harden.model.file_operation import CAN_HAVE_WORKED, OK, UNKNOWN
from harden.model.path_text import UNNAMED_FILE, to_text
from harden.model.recording import FileOperation, FileSeen, Resolution
from harden.model.syscall import name_of
from harden.trace.calls import CALLS, CallRow, Kind
from harden.trace.decode import Program, program_text
from harden.trace.layout import EXEC_NR, FLAG_NAMED, SERVING, Event, EventKind, Mark, SeenKey
from harden.trace.look import result_of
from harden.trace.observations import Beginning, Observations
from harden.trace.place import folder_of, join, path_of_names
from harden.trace.tally import Tally

__all__ = ["decode_files"]

_RENAME_EXCHANGE: Final = 2
_MERGED: Final = (b"/bin/", b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/", b"/libx32/")
_O_TMPFILE: Final = 0o20000000
_MADE_FOLDERS: Final = frozenset({FileOperation.MKDIR, FileOperation.RMDIR, FileOperation.LIST})


class _Found(NamedTuple):
    executable: int
    path: bytes
    operation: FileOperation
    result: str
    resolution: Resolution
    syscall: str
    folder: bool


def decode_files(
    observations: Observations, programs: Mapping[int, Program], socket_paths: Mapping[Event, bytes]
) -> tuple[FileSeen, ...]:
    """Operations on paths per executable, sorted. `socket_paths`: the path of each socket event that has one."""
    found: Tally[_Found] = Tally()
    renames: list[tuple[Event, str, int, Beginning]] = []
    names: Tally[_Found] = Tally()
    for event in observations.events:
        # An event is sent right after its key was counted, so the key is there.
        count, beginning = observations.seen.get(event.key, 1), observations.beginning(event.key)
        name = name_of(observations.arch, event.key.nr)
        if event.kind == EventKind.FILE and not event.marks & (Mark.DETACHED | Mark.TRUNCATED):
            if event.key.flags & FLAG_NAMED:
                _add(names, _name_of_object(event, name), count, beginning)
            elif CALLS[name].kind is Kind.PATHS:
                renames.append((event, name, count, beginning))
            else:
                for item in _operations(event, CALLS[name]):
                    _add(found, item, count, beginning)
        elif event in socket_paths:
            for item in _socket_operations(event, CALLS[name], socket_paths[event]):
                _add(found, item, count, beginning)
    for key, count in observations.seen.items():
        if key.nr == EXEC_NR:
            for item in _execs(key, programs):
                _add(found, item, count, observations.beginning(key))
    for item in _links(names, found):
        _add(found, item, names[item], names.beginning(item))
    folders = _folders(found)
    for event, name, count, beginning in renames:
        for item in _two_names(event, CALLS[name], folders):
            _add(found, item, count, beginning)
    return _merge(found, folders, programs)


def _add(found: Tally[_Found], item: _Found, count: int, beginning: Beginning) -> None:
    found.add(item, item.executable, count, beginning)


def _resolution(event: Event, row: CallRow) -> Resolution:
    """A descriptor has its object; a name has one that was found beside the call where the result is not seen."""
    if not event.marks & Mark.OBJECT:
        return Resolution.LEXICAL
    return Resolution.OBJECT if event.key.error >= 0 or row.kind in (Kind.FD, Kind.PROTECT) else Resolution.LOOKED_UP


def _operations(event: Event, row: CallRow) -> Iterator[_Found]:
    key = event.key
    by_object = bool(event.marks & Mark.OBJECT)
    path = path_of_names(event.base)
    if not by_object:
        path = join(path, event.string)
    is_folder = stat.S_ISDIR(key.mode)
    if by_object and row.kind is Kind.OPEN and key.flags & _O_TMPFILE == _O_TMPFILE:
        path = join(folder_of(path), UNNAMED_FILE)
    opens = row.kind is Kind.OPEN
    for operation in row.operations(key.flags, key.mode, not key.error or by_object):
        result = result_of(key.error, None if opens else operation, creates=opens and by_object)
        yield _Found(
            executable=key.executable,
            path=path,
            operation=operation,
            result=result,
            resolution=_resolution(event, row),
            syscall=row.syscall,
            folder=is_folder or (operation in _MADE_FOLDERS and result in CAN_HAVE_WORKED),
        )


def _name_of_object(event: Event, syscall: str) -> _Found:
    """The name by which an object was reached, as something looked at: links on the way have to be there."""
    return _Found(
        executable=event.key.executable,
        path=join(path_of_names(event.base), event.string),
        operation=FileOperation.STAT,
        result=UNKNOWN if event.key.error else OK,
        resolution=Resolution.LEXICAL,
        syscall=syscall,
        folder=False,
    )


def _links(names: Iterable[_Found], found: Iterable[_Found]) -> list[_Found]:
    """Those of `names` that are not what the kernel resolved them to.

    The folders that were merged into /usr are symbolic links everywhere (file-hierarchy(7)): they say nothing. Nor
    does the name that the kernel makes up for execveat(2).
    """
    objects = {
        item.path for item in found if item.resolution is not Resolution.LEXICAL and item.result in CAN_HAVE_WORKED
    }
    return [
        item
        for item in names
        if item.path not in objects
        and not (item.path.startswith(_MERGED) and b"/usr" + item.path in objects)
        and not (item.syscall.startswith("execve") and item.path.startswith(b"/dev/fd/"))
    ]


def _socket_operations(event: Event, row: CallRow, path: bytes) -> Iterator[_Found]:
    for operation in row.operations(0, 0, not event.key.error):
        yield _Found(
            executable=event.key.executable,
            path=path,
            operation=operation,
            result=result_of(event.key.error, operation),
            resolution=Resolution.LEXICAL,
            syscall=row.syscall,
            folder=False,
        )


def _execs(key: SeenKey, programs: Mapping[int, Program]) -> Iterator[_Found]:
    """The files that an exec opens and maps: the program, its interpreter, the loader."""
    program = programs.get(key.hash)
    if program is None:
        return
    files = []
    if program.path != program.file:
        files.append((program.path, FileOperation.EXEC, Resolution.LEXICAL))
    if program.file.startswith(b"/"):
        files.append((program.file, FileOperation.EXEC, Resolution.OBJECT))
        files.append((program.file, FileOperation.MAP, Resolution.OBJECT))
    if program.loader:
        files.append((program.loader, FileOperation.EXEC, Resolution.OBJECT))
        files.append((program.loader, FileOperation.MAP, Resolution.OBJECT))
    for path, operation, resolution in dict.fromkeys(files):
        yield _Found(
            # The launcher's own exec of the payload is the payload's.
            executable=key.executable if key.executable & ~SERVING else key.hash,
            path=path,
            operation=operation,
            result=OK,
            resolution=resolution,
            syscall="execve",
            folder=False,
        )


def _folders(found: Iterable[_Found]) -> set[bytes]:
    """Paths that must be folders: seen as such, or above something that was reached."""
    folders = {item.path for item in found if item.folder}
    for item in found:
        if item.result in CAN_HAVE_WORKED:
            path = item.path
            while (path := folder_of(path)) not in folders:
                folders.add(path)
                if path in (b"/", b""):
                    break
    return folders


def _two_names(event: Event, row: CallRow, folders: set[bytes]) -> Iterator[_Found]:
    """rename and link: what it is to lose a name, get one, and change folders; mount and the like look at both."""
    key = event.key
    old = join(path_of_names(event.base), event.string) if event.string else b""
    new = join(path_of_names(event.base2), event.string2)
    moves_folder = (old in folders or stat.S_ISDIR(key.mode)) and row.syscall.startswith("rename")

    def item(path: bytes, operation: FileOperation) -> _Found:
        return _Found(
            executable=key.executable,
            path=path,
            operation=operation,
            result=result_of(key.error),
            resolution=Resolution.LEXICAL,
            syscall=row.syscall,
            folder=moves_folder,
        )

    if row.operations(key.flags, 0, not key.error) == (FileOperation.STAT,):
        # A mount's source need not be a path.
        if event.string and (row.syscall != "mount" or event.string.startswith(b"/")):
            yield item(old, FileOperation.STAT)
        yield item(new, FileOperation.STAT)
        return
    made = FileOperation.MKDIR if moves_folder else FileOperation.CREATE
    lost = FileOperation.RMDIR if moves_folder else FileOperation.UNLINK
    if not row.syscall.startswith("rename"):
        yield item(new, FileOperation.LINK)
    elif key.flags & _RENAME_EXCHANGE:
        for path in (old, new):
            yield item(path, lost)
            yield item(path, made)
    else:
        yield item(old, lost)
        yield item(new, made)
    if old and folder_of(old) != folder_of(new):
        yield item(old, FileOperation.REFER)
        yield item(new, FileOperation.REFER)


def _merge(found: Tally[_Found], folders: set[bytes], programs: Mapping[int, Program]) -> tuple[FileSeen, ...]:
    """Executables by name: two that have one path become one."""
    merged: Tally[tuple[str, ...]] = Tally()
    for item in found:
        folder = "folder" if item.folder or item.path in folders else ""
        executable, path = program_text(programs, item.executable), to_text(item.path)
        seen = (executable, path, item.operation, item.result, item.resolution, item.syscall, folder)
        merged.add(seen, item.executable, found[item], found.beginning(item))
    return tuple(
        sorted(
            FileSeen(
                executable=executable,
                path=path,
                operation=FileOperation(operation),
                result=result,
                resolution=Resolution(resolution),
                syscall=syscall,
                folder=bool(folder),
                **merged.evidence(seen),
            )
            for seen in merged
            for executable, path, operation, result, resolution, syscall, folder in (seen,)
        )
    )
