"""What a run needs beside what succeeded."""

from __future__ import annotations

import pytest

from harden.model.need import capability_needs, file_needs, network_needs, serving_needs
from harden.model.recording import CapabilityNamespace, FileOperation, Phase, Recording, Run
from tests.recordings import capability, file, run, socket, syscall

Op = FileOperation


def needs(made: Run, path: str) -> frozenset[Op]:
    return file_needs(made).get(path.encode(), frozenset())


@pytest.mark.parametrize(
    ("removed", "made"),
    [("unlink", "mksock"), ("unlink", "create"), ("unlink", "symlink"), ("rmdir", "mkdir")],
)
def test_removing_what_the_run_makes_is_needed_the_next_time(removed, made):
    seen = run(files=(file("/run/x", removed, result="ENOENT"), file("/run/x", made)))
    assert needs(seen, "/run/x") == {Op(removed), Op(made)}


def test_removing_a_socket_that_is_bound_is_needed():
    bound = socket("bind", "AF_UNIX", "SOCK_STREAM", address="/run/x")
    assert needs(run(files=(file("/run/x", "unlink", result="ENOENT"),), sockets=(bound,)), "/run/x") == {
        Op.UNLINK,
        Op.MKSOCK,
    }


@pytest.mark.parametrize("result", ["ENOENT", "EACCES"])
def test_removing_what_nobody_makes_is_not_needed(result):
    assert needs(run(files=(file("/run/x", "unlink", result=result), file("/run/y", "create"))), "/run/x") == set()


def test_removing_what_may_not_be_removed_is_not_needed():
    seen = run(files=(file("/run/x", "unlink", result="EACCES"), file("/run/x", "create")))
    assert needs(seen, "/run/x") == {Op.CREATE}


@pytest.mark.parametrize("operation", ["connect", "send"])
@pytest.mark.parametrize("result", ["ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT"])
def test_what_the_network_refused_is_needed(operation, result):
    tried = socket(operation, "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=9, result=result)
    assert [rule.port for rule in network_needs(run(sockets=(tried,)))] == [9]


@pytest.mark.parametrize(("operation", "result"), [("connect", "EACCES"), ("connect", "EPERM"), ("bind", "ETIMEDOUT")])
def test_what_something_else_refused_is_not_needed(operation, result):
    tried = socket(operation, "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=9, result=result)
    assert network_needs(run(sockets=(tried,))) == frozenset()


def test_opening_a_fifo_that_nobody_reads_is_needed():
    assert needs(run(files=(file("/run/fifo", "write", result="ENXIO"),)), "/run/fifo") == {Op.STAT, Op.WRITE}


def test_a_capability_in_a_namespace_of_the_programs_own_is_not_needed():
    made = capability("CAP_SYS_ADMIN", namespace=CapabilityNamespace.NESTED)
    own = capability("CAP_CHOWN", namespace=CapabilityNamespace.SANDBOX)
    assert capability_needs(run(capabilities=(made, own))) == {"CAP_CHOWN"}


def test_a_program_without_a_path_needs_no_file():
    assert not any(b"memfd" in path for path in file_needs(run(files=(file("memfd:x", "exec", "map"),))))


def test_needs_while_serving_are_those_of_threads_that_serve():
    both = (Phase.INIT, Phase.SERVING)
    first = run(
        syscalls=(syscall("execve"), syscall("read", phases=both)),
        capabilities=(capability("CAP_SETUID"), capability("CAP_CHOWN", phases=(Phase.SERVING,), granted=False)),
    )
    second = run(capabilities=(capability("CAP_KILL", phases=(Phase.SERVING,)),))
    assert serving_needs(Recording.of([first, second])) == {"read", "CAP_KILL"}


@pytest.mark.parametrize(
    ("operation", "result", "needed"),
    [
        ("read", "unknown", {Op.READ}),
        ("read", "absent", set()),
        ("mkdir", "unknown", {Op.MKDIR}),
        ("mkdir", "present", {Op.STAT}),
        ("mkdir", "absent", set()),
    ],
)
def test_what_may_have_worked_is_needed(operation, result, needed):
    assert needs(run(files=(file("/data/x", operation, result=result),)), "/data/x") == needed


def test_removing_what_was_absent_and_is_made_is_needed():
    seen = run(files=(file("/run/x", "unlink", result="absent"), file("/run/x", "create", result="unknown")))
    assert needs(seen, "/run/x") == {Op.UNLINK, Op.CREATE}


def test_an_address_that_may_have_been_reached_is_needed():
    sent = socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=80, result="unknown")
    assert [rule.render() for rule in network_needs(run(sockets=(sent,)))] == ["connect tcp 127.0.0.1:80"]
