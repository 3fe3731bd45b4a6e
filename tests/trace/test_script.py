"""Interpreters that are scripts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.trace.script import interpreters


def found(folder: Path, script: str) -> tuple[bytes, ...]:
    return interpreters(os.fsencode(folder / script), lambda path: path if os.path.isfile(path) else None)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("#!/bin/a", (b"/bin/a",)),
        ("#! \t/bin//a b c\n", (b"/bin/a",)),
        ("#!/usr/bin/env python3\n", (b"/usr/bin/env",)),
        ("#!a\n", ()),
        ("#!\n", ()),
        ("# !/bin/a\n", ()),
        ("", ()),
    ],
)
def test_the_first_line_names_the_interpreter(tmp_path, line, names):
    (tmp_path / "script").write_text(line)
    assert found(tmp_path, "script")[:1] == names


def test_scripts_are_followed_to_the_program(tmp_path):
    (tmp_path / "outer").write_text(f"#!{tmp_path}/inner\n")
    (tmp_path / "inner").write_text("#!/nowhere/program\n")
    assert found(tmp_path, "outer") == (bytes(tmp_path / "inner"), b"/nowhere/program")


def test_a_circle_ends_where_the_kernel_gives_up(tmp_path):
    (tmp_path / "script").write_text(f"#!{tmp_path}/script\n")
    assert found(tmp_path, "script") == (bytes(tmp_path / "script"),) * 5


def test_nothing_is_said_without_files():
    assert interpreters(b"/bin/sh", None) == ()
