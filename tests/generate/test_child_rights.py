"""Child rights: what a started program did, no more than the profile, and the union is the whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from harden.errors import DocumentError
from harden.generate.child_rights import rights_by_program
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
    found = rights_by_program(profile, Recording.of([two_programs()]))
    assert found.children.keys() == {CHILD}
    rights = found.children[CHILD]
    assert "/srv/app/own" not in files(rights)
    assert files(rights)["/srv/app/childs"] == {FileOperation.READ, FileOperation.WRITE}
    assert FileOperation.EXEC in files(rights)[CHILD]
    assert {each.name for each in rights.all_capabilities()} == {"CAP_SYS_CHROOT"}
    assert rights.syscalls[Origin.OBSERVED] == ("chroot", "socket")
    assert rights.argument_values("socket") == ((1, 1, 0),)
    assert [rule.render() for rule in rights.all_network()] == ["connect unix @x"]
    assert rights.syscalls[Origin.BASELINE] == profile.rights.syscalls[Origin.BASELINE]


def test_a_recording_that_no_recorder_wrote_is_refused():
    wrong = msgspec.structs.replace(two_programs(), arguments=(arguments("socket", ()),))
    with pytest.raises(DocumentError, match="socket has 3 arguments that are recorded, not 0"):
        rights_by_program(profile_of(two_programs()), Recording.of([wrong]))


def test_the_program_itself_has_what_it_did_and_not_what_its_child_did():
    profile = profile_of(two_programs())
    rights = rights_by_program(profile, Recording.of([two_programs()])).own
    assert "/srv/app/childs" not in files(rights)
    assert files(rights)["/srv/app/own"] == {FileOperation.READ}
    assert FileOperation.EXEC in files(rights)[CHILD]
    assert {each.name for each in rights.all_capabilities()} == {"CAP_CHOWN"}
    assert rights.syscalls[Origin.OBSERVED] == ("socket",)
    assert rights.argument_values("socket") == ((2, 1, 0),)
    assert [rule.render() for rule in rights.all_network()] == ["connect tcp 10.0.0.1:1"]


def test_the_program_is_known_behind_the_link_that_it_was_started_by():
    digest = "sha256:" + "0" * 64
    seen = two_programs()
    seen = msgspec.structs.replace(
        seen,
        workload=msgspec.structs.replace(seen.workload, program="/bin/app", digest=digest),
        executables=(ExecutableSeen(path=PROGRAM, digest=digest), ExecutableSeen(path=CHILD)),
        files=(*seen.files, *file(PROGRAM, "exec")),
    )
    programs = rights_by_program(profile_of(seen), Recording.of([seen]))
    assert (programs.program, set(programs.children)) == (PROGRAM, {CHILD})
    assert "/srv/app/own" in files(programs.own)


def test_what_nobody_was_seen_to_start_is_the_programs_own():
    """Nobody was seen to start it: a transition that no rule makes would leave it without its rights."""
    seen = msgspec.structs.replace(two_programs(), files=file("/srv/app/own", "read"))
    seen = msgspec.structs.replace(seen, files=(*seen.files, *by(CHILD, *file("/srv/app/childs", "read"))))
    programs = rights_by_program(profile_of(seen), Recording.of([seen]))
    assert programs.children == {}
    assert "/srv/app/childs" in files(programs.own)


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
    programs = rights_by_program(profile, Recording.of(started))
    parts = (programs.own, *programs.children.values())
    assert all(is_within(part, profile.rights) for part in parts)
    # Together they are the whole: nothing is lost between them.
    assert {call for part in parts for call in part.all_syscalls()} == profile.rights.all_syscalls()
    assert {name for part in parts for name in part.all_capabilities()} == profile.rights.all_capabilities()
    assert {rule for part in parts for rule in part.all_network()} == set(profile.rights.all_network())
    together: dict[str, frozenset[FileOperation]] = {}
    for text, operations in (item for part in parts for item in files(part).items()):
        together[text] = together.get(text, frozenset()) | operations
    assert together == files(profile.rights)
