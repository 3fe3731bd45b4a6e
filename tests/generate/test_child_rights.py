"""Child rights: what a started program did, no more than the profile, and the union is the whole."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings

from harden.generate.child_rights import child_rights
from harden.model.origin import Origin
from harden.model.profile import Profile, Rights
from harden.model.recording import ExecutableSeen, FileOperation, Recording, Run
from tests.recordings import PROGRAM, arguments, capability, file, profile_of, recordings, run, socket, syscall

CHILD = "/usr/bin/child"


def by(program: str, *seen: Any) -> tuple[Any, ...]:
    return tuple(msgspec.structs.replace(each, executable=program) for each in seen)


def two_programs() -> Run:
    return run(
        executables=(ExecutableSeen(path=PROGRAM), ExecutableSeen(path=CHILD)),
        syscalls=(syscall("socket"), *by(CHILD, syscall("chroot"), syscall("socket"))),
        arguments=(arguments("socket", (2, 1, 0)), *by(CHILD, arguments("socket", (1, 1, 0)))),
        capabilities=(capability("CAP_CHOWN"), *by(CHILD, capability("CAP_SYS_CHROOT"))),
        files=(file(CHILD, "exec"), file("/srv/app/own", "read"), by(CHILD, *file("/srv/app/childs", "read", "write"))),
        sockets=(
            socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=1),
            *by(CHILD, socket("connect", "AF_UNIX", "SOCK_STREAM", address="@x")),
        ),
    )


def files(rights: Rights) -> dict[str, frozenset[FileOperation]]:
    return {pattern.text: operations for pattern, operations in rights.all_files()}


def test_a_child_has_what_it_did():
    profile = profile_of(two_programs())
    found = child_rights(profile, Recording.of([two_programs()]))
    assert found.keys() == {CHILD}
    rights = found[CHILD]
    assert "/srv/app/own" not in files(rights)
    assert files(rights)["/srv/app/childs"] == {FileOperation.READ, FileOperation.WRITE}
    assert FileOperation.EXEC in files(rights)[CHILD]
    assert {each.name for each in rights.all_capabilities()} == {"CAP_SYS_CHROOT"}
    assert rights.syscalls[Origin.OBSERVED] == ("chroot", "socket")
    assert rights.argument_values("socket") == ((1, 1, 0),)
    assert [rule.render() for rule in rights.all_network()] == ["connect unix @x"]
    assert rights.syscalls[Origin.BASELINE] == profile.rights.syscalls[Origin.BASELINE]


def is_within(part: Rights, whole: Rights) -> bool:
    return (
        part.all_syscalls() <= whole.all_syscalls()
        and part.all_capabilities() <= whole.all_capabilities()
        and set(part.all_network()) <= set(whole.all_network())
        and all(operations <= files(whole).get(text, frozenset()) for text, operations in files(part).items())
        and all(
            set(part.argument_values(name) or ()) <= set(whole.argument_values(name) or ()) for name in part.arguments
        )
        and part.arguments.keys() == whole.arguments.keys()
    )


@settings(max_examples=40)
@given(recordings)
def test_nothing_is_in_a_child_that_is_not_in_the_profile(recording):
    started = [
        msgspec.structs.replace(
            each,
            executables=(ExecutableSeen(path=CHILD),),
            files=(*each.files, *file(CHILD, "exec"), *by(CHILD, *each.files)),
            capabilities=(*each.capabilities, *by(CHILD, *each.capabilities)),
        )
        for each in recording.runs
    ]
    profile: Profile = profile_of(*started)
    for rights in child_rights(profile, Recording.of(started)).values():
        assert is_within(rights, profile.rights)
