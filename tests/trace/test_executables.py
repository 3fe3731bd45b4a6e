"""Digest and build id of files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harden.trace.decode import Program
from harden.trace.executables import build_id, describe_executables, digest


def test_the_digest_of_nothing():
    # The well-known SHA-256 of the empty string (FIPS 180-4 test vectors).
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.requires("gcc")
def test_the_build_id_is_what_readelf_says(tmp_path):
    program = tmp_path / "program"
    source = "int main(void) { return 0; }"
    subprocess.run(
        ["gcc", "-Wl,--build-id=0x0123456789abcdef", "-x", "c", "-", "-o", program], input=source, text=True, check=True
    )
    said = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
    match = re.search(r"Build ID: ([0-9a-f]+)", said)
    assert match is not None
    assert build_id(program.read_bytes()) == match[1] == "0123456789abcdef"


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF\x02", b"\x7fELF\x02" + bytes(40), b"\x7fELF\x02" + b"\xff" * 60]
)
def test_anything_else_has_no_build_id(content):
    assert build_id(content) == ""


def test_a_file_that_is_gone_has_no_digest(tmp_path):
    program = Program(path=b"/gone", file=b"/gone", loader=b"", argv0=b"gone")
    (seen,) = describe_executables({1: program}, (), lambda path: bytes(tmp_path) + path)
    assert (seen.path, seen.digest, seen.argv0) == ("/gone", "", "gone")


def test_a_file_is_found_where_the_resolver_says(tmp_path):
    Path(tmp_path, "program").write_bytes(b"")
    program = Program(path=b"/inside", file=b"/inside", loader=b"", argv0=b"")
    (seen,) = describe_executables({1: program}, (), lambda _path: bytes(tmp_path / "program"))
    assert seen.digest == digest(b"")
