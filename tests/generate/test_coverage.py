"""What counts as one thing when the coverage of a recording is estimated."""

from __future__ import annotations

from harden.generate.coverage import coverage_of
from harden.model.recording import Recording
from tests.recordings import arguments, capability, file, run, socket, syscall


def test_each_kind_counts_what_a_profile_would_grant():
    first = run(
        syscalls=(syscall("openat", count=9), syscall("prctl")),
        arguments=(arguments("prctl", (15,)),),
        capabilities=(capability("CAP_CHOWN"), capability("CAP_KILL", granted=False)),
        files=(file("/etc/app.conf", "read"), file("/etc/missing", "read", result="ENOENT")),
        sockets=(socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=80),),
    )
    second = run(
        syscalls=(syscall("openat"), syscall("uname")),
        files=(file("/etc/app.conf", "read", "lock"),),
    )
    found = {each.kind: (each.seen, each.expected_new) for each in coverage_of(Recording.of([first, second]))}
    assert found == {
        "system calls": (3, 1.0),
        "arguments": (1, 0.5),
        # The program itself is executed, read and mapped in both.
        "files": (5, 0.5),
        "capabilities": (1, 0.5),
        "connections": (1, 0.5),
    }


def test_names_that_differ_from_run_to_run_are_one_thing():
    runs = [run(files=(file(f"/srv/app/temp-{number}.db", "create", "unlink"),)) for number in (17, 23)]
    (files,) = [each for each in coverage_of(Recording.of(runs)) if each.kind == "files"]
    assert (files.coverage, files.expected_new) == (1.0, 0.0)


def test_one_run_says_nothing():
    assert coverage_of(Recording.of([run(syscalls=(syscall("openat"),))])) == ()
