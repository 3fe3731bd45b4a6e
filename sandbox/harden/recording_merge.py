"""The union of recordings on disk: one of them in memory at a time, the runs in a file without a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from harden.errors import UsageError
from harden.folder import LOCAL_SUFFIX, PROFILE_SUFFIX, VERIFIED_SUFFIX, load_recording
from harden.kernel import atomic_file
from harden.model.document import encode_json
from harden.model.recording import RECORDING_FORMAT, Recording, Run, with_evidence

__all__ = ["Merged", "merge_files"]

_MANY: Final = 5
"""How many runs an error names."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    runs: int
    repeated: int
    """Runs that more than one of the files holds."""


def merge_files(paths: Iterable[Path], target: Path) -> Merged:
    """Write every run of the recordings at `paths` to `target`, sorted by id: the bytes of `encode_json` of the merge.

    Raises UsageError when `target` holds a run that none of them has, or is no recording's name; KernelError and
    DocumentError for a file that is none. `target` is then as it was.
    """
    if target.name.endswith((PROFILE_SUFFIX, LOCAL_SUFFIX, VERIFIED_SUFFIX)) or target.suffix != ".json":
        raise UsageError(f"{target}: a recording's name ends in .json", hint="-o NAME.recording.json")
    with tempfile.TemporaryFile(dir=target.absolute().parent) as spool:
        places: dict[str, tuple[int, int]] = {}
        repeated: set[str] = set()
        for path in paths:
            for run in load_recording(path).runs:
                key = run.id
                if key in places:
                    repeated.add(key)
                    known = _read(spool, places[key])
                    if with_evidence(known, run) != known:
                        places[key] = _append(spool, run)
                else:
                    places[key] = _append(spool, run)
        _demand_all(target, places.keys())
        with atomic_file.replacing(target, mode=0o600) as file:
            _write(file, spool, [places[key] for key in sorted(places)])
    return Merged(runs=len(places), repeated=len(repeated))


def _append(spool: BinaryIO, run: Run) -> tuple[int, int]:
    """Where the run is, laid out as it stands in a recording."""
    start = spool.seek(0, os.SEEK_END)
    text = msgspec.json.format(msgspec.json.encode(run, order="deterministic"), indent=1)
    # No line breaks inside strings: JSON escapes them.
    spool.write(b"  " + text.replace(b"\n", b"\n  "))
    return start, spool.tell() - start


def _read(spool: BinaryIO, place: tuple[int, int]) -> Run:
    start, size = place
    spool.seek(start)
    return msgspec.json.decode(spool.read(size), type=Run)


def _write(file: BinaryIO, spool: BinaryIO, places: list[tuple[int, int]]) -> None:
    before, after = encode_json(Recording(runs=())).split(b"[]")
    file.write(before + b"[\n")
    for number, (start, size) in enumerate(places):
        spool.seek(start)
        file.write((b",\n" if number else b"") + spool.read(size))
    file.write(b"\n ]" + after)


def _demand_all(target: Path, ids: Iterable[str]) -> None:
    """UsageError when a run of `target` would be lost."""
    if not target.exists() or target.stat().st_size == 0:
        return
    lost = sorted({run.id for run in load_recording(target).runs} - set(ids))
    if lost:
        named = ", ".join(lost[:_MANY]) + (" …" if len(lost) > _MANY else "")
        raise UsageError(
            f"{target} ({RECORDING_FORMAT}) holds {len(lost)} run(s) that would be lost: {named}",
            hint=f"merge it too: harden merge {target} … -o {target}, or write to another file",
        )
