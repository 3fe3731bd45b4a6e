"""What a recording without results says of the past: what may have worked counts as if it had."""

from __future__ import annotations

import msgspec

from harden.generate.history import History
from harden.model.recording import FileOperation, Recording, Unseen
from tests.recordings import file, run, syscall


def blind_history() -> History:
    call = msgspec.structs.replace(syscall("openat", count=2), errors=None)
    files = (file("/there", "read", result="unknown"), file("/gone", "read", result="absent"))
    seen = run(files=files, syscalls=(call,))
    return History(
        Recording.of([msgspec.structs.replace(seen, host=msgspec.structs.replace(seen.host, unseen=tuple(Unseen)))])
    )


def test_calls_whose_results_are_unknown_count_as_done():
    assert blind_history().call_ended("openat", "ok")
    assert not blind_history().call_ended("openat", "EACCES")


def test_files_count_by_what_was_there():
    history = blind_history()
    assert history.file("/there", FileOperation.READ, "ok")
    assert history.file("/gone", FileOperation.READ, "ENOENT")
    assert not history.never_worked("/gone", FileOperation.READ)
