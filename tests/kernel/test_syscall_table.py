"""The table of calls against the kernel that runs the tests and the headers it was built with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.syscall import highest_number, name_of, number_of, numbers

TRACEPOINT_NAMES = {
    "newstat": "stat",
    "newfstat": "fstat",
    "newlstat": "lstat",
    "newuname": "uname",
    "sendfile64": "sendfile",
    "umount": "umount2",
}
"""A tracepoint is named after the kernel's function, which for these is not the call's name."""


@pytest.mark.requires("root")
def test_every_call_of_the_running_kernel_is_known(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount -t tracefs none "$0" && ls "$0/events/syscalls"', str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    found = {name.removeprefix("sys_enter_") for name in listed if name.startswith("sys_enter_")}
    assert len(found) > 300
    assert {TRACEPOINT_NAMES.get(name, name) for name in found} - numbers(Arch.X86_64).keys() == set()


@pytest.mark.parametrize(
    ("arch", "header", "bit"),
    [
        (Arch.X86_64, "asm/unistd_64.h", 0),
        (Arch.I386, "asm/unistd_32.h", 0),
        (Arch.X32, "asm/unistd_x32.h", X32_SYSCALL_BIT),
    ],
)
def test_numbers_are_those_of_the_headers(arch: Arch, header: str, bit: int) -> None:
    text = subprocess.run(
        ["gcc", "-E", "-dM", "-D__X32_SYSCALL_BIT=0", "-x", "c", "-"],
        input=f"#include <{header}>\n",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    defined = {
        m[1]: int(m[2]) for m in re.finditer(r"^#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$", text, re.M)
    }
    assert len(defined) > 300
    assert {name: number | bit for name, number in defined.items()} == {
        name: number for name, number in numbers(arch).items() if name in defined
    }


def test_unknown_numbers_keep_their_number() -> None:
    assert name_of(Arch.X86_64, 9999) == "syscall_9999"
    assert number_of(Arch.X86_64, "syscall_9999") == 9999
    assert number_of(Arch.X86_64, "no_such_call") is None
    assert number_of(Arch.AARCH64, "open") is None
    assert highest_number(Arch.X86_64) >= 470
