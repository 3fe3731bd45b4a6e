"""Names of io_uring operations against the kernel's header."""

from __future__ import annotations

import re
import subprocess

import pytest

from harden.model.io_uring_operation import OPERATIONS


@pytest.mark.requires("gcc")
def test_names_are_those_of_the_header_as_far_as_it_goes():
    text = subprocess.run(
        ["gcc", "-E", "-x", "c", "-"],
        input="#include <linux/io_uring.h>\n",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = re.findall(r"\bIORING_OP_(\w+)", text)
    known = names[: names.index("LAST")]
    assert len(known) > 40
    assert OPERATIONS[: len(known)] == tuple(known)
