"""The table of calls that are read."""

from __future__ import annotations

import os
import stat

import pytest

from harden.model.arch import Arch
from harden.model.recording import FileOperation as Op
from harden.model.syscall import number_of
from harden.trace.calls import CALLS, MODE_CREATED, open_operations
from harden.trace.layout import SYSCALLS

REGULAR, FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_known_and_has_a_row_in_the_kernel_side(name):
    numbers = [number_of(arch, name) for arch in (Arch.X86_64, Arch.AARCH64)]
    assert any(number is not None for number in numbers)
    assert all(number is None or number < SYSCALLS for number in numbers)


@pytest.mark.parametrize(
    ("flags", "mode", "ok", "operations"),
    [
        (os.O_RDONLY, REGULAR, True, {Op.READ}),
        (os.O_RDONLY, FOLDER, True, {Op.LIST}),
        (os.O_WRONLY, REGULAR, True, {Op.WRITE}),
        (os.O_RDWR, REGULAR, True, {Op.READ, Op.WRITE}),
        (os.O_WRONLY | os.O_APPEND, REGULAR, True, {Op.APPEND}),
        (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, REGULAR, True, {Op.WRITE, Op.TRUNCATE}),
        (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, REGULAR | MODE_CREATED, True, {Op.WRITE, Op.CREATE, Op.TRUNCATE}),
        (os.O_WRONLY | os.O_TRUNC, stat.S_IFCHR, True, {Op.WRITE}),
        (os.O_WRONLY | os.O_CREAT, 0, False, {Op.WRITE, Op.CREATE}),
        (os.O_RDONLY | os.O_DIRECTORY, 0, False, {Op.LIST}),
        (os.O_PATH, FOLDER, True, {Op.STAT}),
        (os.O_TMPFILE | os.O_WRONLY, REGULAR, True, {Op.WRITE, Op.CREATE}),
    ],
)
def test_what_opening_does(flags, mode, ok, operations):
    assert set(open_operations(flags, mode, ok)) == operations
