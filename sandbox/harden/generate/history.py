"""What a program was seen to do when it was recorded, for telling a denial from what always failed."""

from __future__ import annotations

from collections import defaultdict

from harden.model.arch import Arch
from harden.model.file_operation import ABSENT, OK, PRESENT, UNKNOWN
from harden.model.recording import FileOperation, Recording, SocketOperation, SocketSeen

__all__ = ["History"]

_LOOKED_AT = {UNKNOWN: OK, ABSENT: "ENOENT", PRESENT: "EEXIST"}
"""Where results were not seen: what may have worked counts as if it had."""

_Address = tuple[SocketOperation, str, str, str, int | None]


def _counted_as(result: str) -> str:
    return _LOOKED_AT.get(result, result)


class History:
    """An index of every recorded run. Programs are not told apart: what one was let do is no news from another."""

    def __init__(self, recording: Recording | None) -> None:
        self.is_known = recording is not None
        runs = recording.runs if recording else ()
        self._calls: dict[str, set[str]] = defaultdict(set)
        self._made: set[tuple[Arch, str]] = set()
        self._arguments: dict[str, set[tuple[int, ...] | None]] = defaultdict(set)
        self._files: dict[str, dict[FileOperation, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._capabilities: set[tuple[str, str, bool]] = set()
        self._sockets: dict[_Address, set[str]] = defaultdict(set)
        self.endings: set[tuple[int | None, int | None]] = set()
        """Exit status and signal of the runs that were left alone until they ended."""
        for run in runs:
            self._made |= {(call.arch, call.name) for call in run.syscalls}
            for call in run.syscalls:
                errors = call.errors or {}
                self._calls[call.name] |= {*errors, *([OK] if call.count > sum(errors.values()) else [])}
            for arguments in run.arguments:
                self._arguments[arguments.name].add(arguments.values)
            for file in run.files:
                self._files[file.path][file.operation].add(_counted_as(file.result))
            for capability in run.capabilities:
                self._capabilities.add((capability.capability, capability.syscall, capability.granted))
            for socket in run.sockets:
                self._sockets[_address(socket)].add(_counted_as(socket.result))
            if not (run.status.timed_out or run.status.interrupted or run.perturbation):
                self.endings.add((run.status.exit_status, run.status.signal))

    def was_let(self, found: bool) -> bool | None:
        """`found`, or None where nothing was recorded."""
        return found if self.is_known else None

    def call_ended(self, name: str, result: str) -> bool:
        """Whether the call was seen with this errno, or `ok`."""
        return result in self._calls.get(name, ())

    def called_with(self, arch: Arch | None, name: str, values: tuple[int, ...] | None) -> bool:
        """Whether the call was made by this ABI with these arguments."""
        return (arch, name) in self._made and (values is None or values in self._arguments.get(name, ()))

    def file(self, path: str, operation: FileOperation, result: str) -> bool:
        """Whether the operation on the path was seen with this result."""
        return result in self._files.get(path, {}).get(operation, ())

    def never_worked(self, path: str, operation: FileOperation) -> bool:
        """Whether the operation always failed on a path that was there: it loses nothing by failing again."""
        results = self._files.get(path, {}).get(operation, set())
        return bool(results - {"ENOENT"}) and "ok" not in results

    def path(self, path: str, result: str) -> bool:
        """Whether any operation on the path was seen with this result."""
        return any(result in results for results in self._files.get(path, {}).values())

    def capability(self, name: str, syscall: str, *, granted: bool) -> bool:
        """Whether the check was seen in the call with this verdict."""
        return (name, syscall, granted) in self._capabilities

    def socket(self, seen: SocketSeen, result: str) -> bool:
        """Whether the operation on the address was seen with this result."""
        return result in self._sockets.get(_address(seen), ())


def _address(seen: SocketSeen) -> _Address:
    return (seen.operation, seen.family, seen.type, seen.address, seen.port)
