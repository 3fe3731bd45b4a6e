"""Names for operations on paths and sockets."""

from __future__ import annotations

import socket
import stat
import struct

import pytest

from harden.model.recording import FileOperation as Op
from harden.model.recording import FileSeen, Resolution, RunStatus, SocketOperation
from harden.model.workload import Workload
from harden.trace.decode import decode_programs
from harden.trace.decode_files import decode_files
from harden.trace.decode_sockets import decode_sockets, parse_address, socket_paths
from harden.trace.layout import EXEC_NR, Event, SeenKey
from harden.trace.observations import Observations
from harden.trace.run import build_run
from tests.trace.sample_observations import executable, file_event, names, observe, socket_event

FOLDER = stat.S_IFDIR | 0o755


def seen(observations: Observations) -> tuple[FileSeen, ...]:
    programs, paths = decode_programs(observations.events), socket_paths(observations.events)
    return decode_files(observations, programs, paths)


def brief(observations: Observations) -> set[tuple[str, Op, str]]:
    return {(file.path, file.operation, file.result) for file in seen(observations)}


def test_a_file_by_object_and_a_name():
    opened = file_event("openat", base=names("/etc/hosts"), mode=stat.S_IFREG)
    looked = file_event("stat", string=b"../x", base=names("/srv/a"), error=2)
    first, second = seen(observe(opened, looked))
    assert (first.path, first.operation, first.resolution) == ("/etc/hosts", Op.READ, Resolution.OBJECT)
    assert (second.path, second.result, second.resolution) == ("/srv/x", "ENOENT", Resolution.LEXICAL)


def rename(old: bytes, new: bytes, flags: int = 0) -> Event:
    return file_event("renameat2", flags=flags, string=old, string2=new)


def test_renaming_a_file_inside_a_folder():
    assert brief(observe(rename(b"/a/old", b"/a/new"))) == {("/a/old", Op.UNLINK, "ok"), ("/a/new", Op.CREATE, "ok")}


def test_renaming_a_file_to_another_folder_refers():
    assert brief(observe(rename(b"/a/old", b"/b/new"))) == {
        ("/a/old", Op.UNLINK, "ok"),
        ("/a/old", Op.REFER, "ok"),
        ("/b/new", Op.CREATE, "ok"),
        ("/b/new", Op.REFER, "ok"),
    }


@pytest.mark.parametrize(
    "evidence",
    [
        file_event("mkdir", string=b"/a/old", hash=2),
        file_event("openat", base=names("/a/old/file"), mode=stat.S_IFREG, hash=2),
        file_event("getdents64", base=names("/a/old"), mode=FOLDER, hash=2),
    ],
)
def test_renaming_what_is_known_as_a_folder(evidence):
    found = brief(observe(evidence, rename(b"/a/old", b"/a/new")))
    assert {("/a/old", Op.RMDIR, "ok"), ("/a/new", Op.MKDIR, "ok")} <= found


def test_exchanging_two_files():
    assert brief(observe(rename(b"/a/1", b"/a/2", flags=2))) == {
        ("/a/1", Op.UNLINK, "ok"),
        ("/a/1", Op.CREATE, "ok"),
        ("/a/2", Op.UNLINK, "ok"),
        ("/a/2", Op.CREATE, "ok"),
    }


def test_a_link_is_its_new_name():
    assert brief(observe(file_event("link", string=b"/a/1", string2=b"/a/2"))) == {("/a/2", Op.LINK, "ok")}


@pytest.mark.parametrize(
    ("flags", "operation"),
    [(stat.S_IFIFO, Op.MKFIFO), (stat.S_IFSOCK, Op.MKSOCK), (stat.S_IFCHR, Op.MKNOD), (0, Op.CREATE)],
)
def test_mknod_by_type(flags, operation):
    assert brief(observe(file_event("mknod", string=b"/x", flags=flags))) == {("/x", operation, "ok")}


def test_an_exec_opens_and_maps_program_and_loader():
    started = executable(2, "/bin/tool", loader=names("/lib/ld.so"))
    count = {SeenKey(2, 0, 1, EXEC_NR, 0, 0, 0): 3, SeenKey(1, 0, 0, EXEC_NR, 0, 0, 0): 1}
    found = {(file.executable, file.path, file.operation): file.count for file in seen(observe(started, seen=count))}
    assert found == {
        ("/bin/program", "/bin/program", Op.EXEC): 1,
        ("/bin/program", "/bin/program", Op.MAP): 1,
        ("/bin/program", "/bin/tool", Op.EXEC): 3,
        ("/bin/program", "/bin/tool", Op.MAP): 3,
        ("/bin/program", "/lib/ld.so", Op.EXEC): 3,
        ("/bin/program", "/lib/ld.so", Op.MAP): 3,
    }


def unix(path: bytes) -> bytes:
    return struct.pack("=H", socket.AF_UNIX) + path


def test_a_unix_path_is_a_file_too():
    bound = socket_event("bind", family=1, type=1, string=unix(b"sock\0\0"), base=names("/run"))
    observations = observe(bound)
    programs, paths = decode_programs(observations.events), socket_paths(observations.events)
    assert brief(observations) == {("/run/sock", Op.MKSOCK, "ok")}
    (one,) = decode_sockets(observations, programs, paths)
    assert (one.operation, one.family, one.type, one.address) == (
        SocketOperation.BIND,
        "AF_UNIX",
        "SOCK_STREAM",
        "/run/sock",
    )


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        (struct.pack("=H", 2) + (80).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8), ("127.0.0.1", 80)),
        (struct.pack("=H", 10) + (53).to_bytes(2, "big") + bytes(4) + bytes(15) + b"\1" + bytes(4), ("::1", 53)),
        (unix(b"\0name"), ("@name", None)),
        (struct.pack("=H", 16) + bytes(10), ("", None)),
        (b"", ("", None)),
        (b"\2", ("", None)),
        (struct.pack("=H", 2), ("", None)),
    ],
)
def test_addresses(address, parsed):
    assert parse_address(address) == parsed


def test_the_order_of_events_does_not_change_the_run():
    events = [
        file_event("openat", base=names(f"/etc/{name}"), mode=stat.S_IFREG, hash=index)
        for index, name in enumerate("bca")
    ]
    workload = Workload(program="/bin/program", argv=("program",), cwd="/")
    status = RunStatus(exit_status=0, signal=None)
    runs = [build_run(observe(*order), workload=workload, status=status) for order in (events, events[::-1])]
    assert runs[0].id == runs[1].id
