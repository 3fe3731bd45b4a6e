"""Recordings come from files that anybody may have written: what means nothing is refused there, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harden.cli import main
from harden.errors import DocumentError
from harden.model.document import encode_json, parse_json
from harden.model.recording import RECORDING_FORMAT, ExecutableSeen, Recording, Run
from harden.model.syscall_argument_names import ADDRESS_FAMILIES, SOCKET_TYPES
from tests.recordings import PROGRAM, capability, file, run, socket

BAD_TEXT = "a backslash must start"


def whole() -> Run:
    return run(
        executables=(ExecutableSeen(path=PROGRAM, interpreter="/lib/ld.so", libraries=("/lib/libc.so",)),),
        capabilities=(capability("CAP_CHOWN"), capability("CAP_63", granted=False)),
        files=(file("/etc/passwd", "read"),),
        sockets=(socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=65535),),
        workload={"capabilities": ("CAP_CHOWN",)},
    )


def altered(kind: str, **changes: Any) -> bytes:
    """A recording whose one run has these values in the first row of `kind`, as a file."""
    document: dict[str, Any] = msgspec.json.decode(encode_json(Recording.of([whole()])))
    rows = document["runs"][0][kind]
    row: dict[str, Any] = rows if isinstance(rows, dict) else rows[0]
    assert changes.keys() <= row.keys()
    row.update(changes)
    return msgspec.json.encode(document)


WRONG = [
    ("capabilities", {"capability": "CAP_FOO"}, "unknown capability 'CAP_FOO'"),
    ("capabilities", {"capability": "CAP_40"}, "unknown capability 'CAP_40'"),
    ("capabilities", {"capability": "CAP_64"}, "unknown capability 'CAP_64'"),
    ("workload", {"capabilities": ["CAP_FOO"]}, "unknown capability 'CAP_FOO'"),
    ("executables", {"path": "\\"}, BAD_TEXT),
    ("executables", {"interpreter": "\\"}, BAD_TEXT),
    ("executables", {"libraries": ["\\"]}, BAD_TEXT),
    ("files", {"path": "\\"}, BAD_TEXT),
    ("sockets", {"address": "\\"}, BAD_TEXT),
    ("sockets", {"family": ""}, "no socket is of family ''"),
    ("sockets", {"type": "SOCK STREAM"}, "type 'SOCK STREAM'"),
    ("sockets", {"port": -1}, "ports go from 0 to 65535, not -1"),
    ("sockets", {"port": 65536}, "ports go from 0 to 65535, not 65536"),
]


@pytest.mark.parametrize(("kind", "changes", "why"), WRONG)
def test_what_means_nothing_is_refused_with_its_place(kind: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(DocumentError, match=why) as caught:
        parse_json(altered(kind, **changes), Recording, format=RECORDING_FORMAT, file="app.recording.json")
    assert f"app.recording.json: $.runs[0].{kind}" in caught.value.message


def test_what_a_recorder_writes_is_read() -> None:
    recording = Recording.of([whole()])
    assert parse_json(encode_json(recording), Recording, format=RECORDING_FORMAT, file="x") == recording
    for family in (*ADDRESS_FAMILIES.values(), "46"):
        for kind in (*SOCKET_TYPES.values(), "", "9"):
            assert socket("create", family, kind).type == kind


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("show", "bad.recording.json"), 125),
        (("generate", "bad.recording.json", "-o", "app.profile.toml"), 125),
        (("merge", "bad.recording.json", "-o", "out.recording.json"), 125),
        (("diff", "bad.recording.json", "bad.recording.json"), 2),
    ],
)
def test_every_reader_refuses_it(
    words: tuple[str, ...],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.recording.json").write_bytes(altered("capabilities", capability="CAP_FOO"))
    with pytest.raises(SystemExit) as caught:
        main(words)
    error = capfd.readouterr().err
    assert (caught.value.code, error.splitlines()[0]) == (
        status,
        "harden: bad.recording.json: $.runs[0].capabilities[0]: unknown capability 'CAP_FOO'",
    )
