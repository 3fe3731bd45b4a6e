"""The table of the user-notification recorder, written by hand where harden-exec writes it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from harden.model.arch import Arch
from harden.model.recording import RunStatus, Unseen
from harden.model.seen import First
from harden.model.workload import Workload
from harden.trace.layout import CountKey, EventKind
from harden.trace.notify_table import START_AT, TABLE_SIZE, encode_start, encode_table, read_table
from harden.trace.run import build_run

HEADER = "=QIIIIQQQQQQ8Q"
FINISHED = 2


@pytest.fixture
def table() -> Iterator[int]:
    fd = os.memfd_create("calls")
    os.ftruncate(fd, TABLE_SIZE)
    os.pwrite(fd, encode_table(arch=Arch.X86_64, seed=1), 0)
    yield fd
    os.close(fd)


def finish(fd: int, *, executables: int, events: bytes, killed: int = 0, features: int = 0, lost: int = 0) -> None:
    magic = struct.unpack("=Q", os.pread(fd, 8, 0))[0]
    fields = (magic, FINISHED, features, executables, killed, len(events), 1, 0, 0, 0, 0, lost, *[0] * 7)
    os.pwrite(fd, struct.pack(HEADER, *fields), 0)
    os.pwrite(fd, events, TABLE_SIZE - (64 << 20))


def executable(number: int, path: bytes) -> bytes:
    key = struct.pack("=QQIHhII", 0, 0, number, 0, 0, 0, 0)
    record = key + struct.pack("=IHH8H", 7, EventKind.EXECUTABLE, 0, 0, 0, len(path), 0, 0, 0, 0, 0) + path
    return struct.pack("=I", len(record)) + record


def test_an_empty_table_that_was_finished_is_whole(table):
    finish(table, executables=0, events=b"")
    observations = read_table(table, arch=Arch.X86_64)
    assert (observations.counts, observations.seen, observations.losses) == ({}, {}, {})
    assert observations.unseen == tuple(Unseen)


def test_counters_are_found_by_executable_abi_and_number(table):
    finish(table, executables=2, events=executable(1, b"/bin/one"))
    counts = 32768
    os.pwrite(table, struct.pack("=Q", 5), counts + 24 * ((1 * 3 + 0) * 512 + 110))
    os.pwrite(table, struct.pack("=Q", 6), counts + 24 * ((2 * 3 + 2) * 512 + 20))
    observations = read_table(table, arch=Arch.X86_64)
    assert observations.counts == {CountKey(1, 0, 110, 0): 5, CountKey(2, 2, 20, 0): 6}


@pytest.mark.parametrize(
    ("start_ns", "expected"),
    [(1_000_000, First(2_000, 7)), (3_000_000, First(0, 7)), (3_000_001, None), (0, None)],
    ids=["later", "at once", "before the gate opened", "nobody told when it opened"],
)
def test_a_first_time_counts_from_the_gates_opening(table, start_ns, expected):
    finish(table, executables=1, events=b"")
    os.pwrite(table, encode_start(start_ns), START_AT)
    os.pwrite(table, struct.pack("=QQI4x", 5, 3_000_000, 7), 32768 + 24 * (3 * 512 + 110))
    found = read_table(table, arch=Arch.X86_64).firsts[CountKey]
    assert found == ({} if expected is None else {CountKey(1, 0, 110, 0): expected})


def test_a_run_of_it_has_unknown_results_and_names_the_recorder(table):
    finish(table, executables=1, events=executable(1, b"/usr/bin/one"), features=7, killed=2, lost=3)
    os.pwrite(table, struct.pack("=Q", 5), 32768 + 24 * (3 * 512 + 110))
    run = build_run(
        read_table(table, arch=Arch.X86_64),
        workload=Workload(program="/x", argv=("x",), cwd="/"),
        status=RunStatus(exit_status=0, signal=None),
    )
    assert [(call.name, call.count, call.errors) for call in run.syscalls] == [("getppid", 5, None)]
    assert run.host.recorder == "notify (user notification, wait-killable, sync wake-up, one CPU)"
    assert [program.path for program in run.executables] == ["/usr/bin/one"]
    assert {(gap.kind, gap.count) for gap in run.gaps} == {("limit-reached", 3), ("still-running", 2)}
