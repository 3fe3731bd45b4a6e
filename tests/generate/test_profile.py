"""The rest of a generated profile: capabilities, network, workload, notes."""

from __future__ import annotations

import msgspec
import pytest

from harden.errors import DocumentError
from harden.generate.evidence import evidence_of
from harden.generate.profile import generate_profile
from harden.generate.redact import MASK
from harden.model.cover import missing
from harden.model.origin import Origin
from harden.model.recording import CapabilityNamespace, Completeness, ExecutableSeen, Gap, GapKind, Recording, Unseen
from tests.recordings import baseline, capability, file, profile_of, run, socket, syscall


def capabilities(*seen) -> tuple[str, ...]:
    return profile_of(run(capabilities=seen)).rights.capabilities.get(Origin.OBSERVED, ())


def test_granted_checks_in_the_sandbox_are_needed():
    assert capabilities(capability("CAP_CHOWN"), capability("CAP_KILL", granted=False)) == ("CAP_CHOWN",)


def test_probing_and_foreign_checks_are_not():
    probe = capability("CAP_SYS_ADMIN", probing=True)
    assert capabilities(probe, capability("CAP_SYS_TIME", namespace=CapabilityNamespace.HOST)) == ()


def test_reading_needs_the_lesser_capability():
    searches = capability("CAP_DAC_READ_SEARCH", granted=False, count=3)
    assert capabilities(searches, capability("CAP_DAC_OVERRIDE", count=3)) == ("CAP_DAC_READ_SEARCH",)


def test_writing_needs_the_greater_one():
    searches = capability("CAP_DAC_READ_SEARCH", granted=False, count=3)
    assert capabilities(searches, capability("CAP_DAC_OVERRIDE", count=4)) == ("CAP_DAC_OVERRIDE",)
    elsewhere = capability("CAP_DAC_OVERRIDE", call="unlinkat")
    assert capabilities(searches, elsewhere) == ("CAP_DAC_OVERRIDE",)


def test_network_rules():
    profile = profile_of(
        run(
            sockets=(
                socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=0),
                socket("listen", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=0),
                socket("connect", "AF_INET6", "SOCK_STREAM", address="0:0::1", port=443, result="EINPROGRESS"),
                socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=80, result="ECONNREFUSED"),
                socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.2", port=80, result="EACCES"),
                socket("send", "AF_INET", "SOCK_DGRAM", address="10.0.0.53", port=53),
                socket("connect", "AF_UNSPEC"),
                socket("bind", "AF_NETLINK", "SOCK_RAW"),
                socket("connect", "AF_UNIX", "SOCK_STREAM", address="/run/a b"),
            )
        )
    )
    assert profile.rights.network == {
        Origin.OBSERVED: (
            "bind AF_NETLINK/SOCK_RAW",
            "bind tcp 0.0.0.0:0",
            "connect tcp 10.0.0.1:80",
            "connect tcp6 [::1]:443",
            "connect udp 10.0.0.53:53",
            "connect unix /run/a b",
        )
    }
    assert profile.rights.files[Origin.OBSERVED]["/run/a b"] == "connect"


def test_a_port_that_the_kernel_chose_is_every_port():
    own = run(
        sockets=(
            socket("bind", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=0),
            socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=44935),
            socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=8080),
            socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=50000),
        )
    )
    profile = profile_of(own)
    assert profile.rights.network[Origin.OBSERVED] == (
        "bind tcp 127.0.0.1:0",
        "connect tcp 10.0.0.1:50000",
        "connect tcp 127.0.0.1:*",
        "connect tcp 127.0.0.1:8080",
    )
    assert any("connect tcp 127.0.0.1 is granted for every port" in note for note in profile.generated.notes)
    assert missing(profile, own) == ()


def test_a_port_that_nobody_chose_stays():
    profile = profile_of(run(sockets=(socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=44935),)))
    assert profile.rights.network[Origin.OBSERVED] == ("connect tcp 127.0.0.1:44935",)


def test_a_socket_that_cannot_be_ruled_is_noted():
    profile = profile_of(run(sockets=(socket("connect", "AF_INET", address="10.0.0.1", port=80),)))
    assert profile.rights.network == {}
    assert any("10.0.0.1" in note for note in profile.generated.notes)


def test_a_made_up_socket_name_has_one_pattern_for_file_and_rule():
    profile = profile_of(
        run(
            files=(file("/srv/app/s.aB3xY9z", "mksock", "unlink"),),
            sockets=(socket("bind", "AF_UNIX", "SOCK_STREAM", address="/srv/app/s.aB3xY9z"),),
        )
    )
    assert profile.rights.network[Origin.OBSERVED] == ("bind unix /srv/app/s.@{temp}",)
    assert profile.rights.files[Origin.OBSERVED]["/srv/app/s.@{temp}"] == "mksock unlink"


def notes(*runs) -> str:
    return "\n".join(profile_of(*runs).generated.notes)


def test_workload_is_the_one_most_runs_share_then_that_of_the_first():
    runs = [run(workload={"argv": ("app", str(n))}) for n in range(4)]
    assert profile_of(*runs).workload == min(runs, key=lambda each: each.id).workload
    assert "4 different command lines" in notes(*runs)
    for each in runs:
        again = run(workload={"argv": each.workload.argv}, peaks={"pids": 1.0})
        assert profile_of(*runs, again).workload == each.workload


def test_a_workload_that_can_be_started_again_is_preferred():
    masked = [
        run(workload={"argv": ("app", f"--password={MASK}")}, peaks={"pids": float(number)}) for number in range(3)
    ]
    plain = run(workload={"argv": ("app", "--help")})
    assert profile_of(*masked, plain).workload == plain.workload


def test_other_programs_are_noted():
    text = notes(run(), run(workload={"program": "/usr/bin/other"}))
    assert "different programs: /usr/bin/app, /usr/bin/other" in text
    assert "different" not in notes(run(), run(peaks={"pids": 1.0}))


def test_builds_of_a_program():
    old, new = (run(workload={"digest": f"sha256:{letter * 64}", "build_id": letter * 40}) for letter in "ab")
    both = profile_of(old, new)
    assert (both.workload.digest, both.workload.build_id) == ("", "")
    assert "recorded from 2 builds of /usr/bin/app" in notes(old, new)
    assert profile_of(old).workload == old.workload
    assert "builds" not in notes(old)


def test_calls_that_are_refused_although_granted_are_noted():
    assert notes(run()) == ""
    assert "clone3 is answered with ENOSYS" in notes(run(syscalls=(syscall("clone3"),)))
    assert "mq_open is refused" in notes(run(syscalls=(syscall("mq_open"),)))
    found = notes(run(syscalls=(syscall("openat2"),)))
    assert "openat2 is answered with ENOSYS where the profile lets the program change files of the host" in found
    both = notes(run(syscalls=(syscall("umount2"), syscall("io_uring_setup"), syscall("mount"), syscall("openat2"))))
    assert "io_uring_setup, openat2 is answered with ENOSYS" in both
    assert "mount, umount2 is refused with EPERM while landlock is in force" in both


def test_mounts_that_were_refused_when_recorded_lose_nothing():
    assert "landlock" not in notes(run(syscalls=(syscall("mount", errors={"EPERM": 1}),)))
    assert "landlock" in notes(run(syscalls=(syscall("mount", count=2, errors={"EPERM": 1}),)))


def test_refused_capabilities_are_noted():
    refused = capability("CAP_SYS_RESOURCE", granted=False, call="mq_open")
    assert "CAP_SYS_RESOURCE was refused while recording (in mq_open)" in notes(run(capabilities=(refused,)))
    assert notes(run(capabilities=(refused, capability("CAP_SYS_RESOURCE")))) == ""
    assert notes(run(capabilities=(capability("CAP_SYS_TIME", granted=False, probing=True),))) == ""
    host = capability("CAP_SYS_TIME", granted=False, namespace=CapabilityNamespace.HOST)
    assert notes(run(capabilities=(host,))) == ""
    searches = capability("CAP_DAC_READ_SEARCH", granted=False)
    assert notes(run(capabilities=(searches, capability("CAP_DAC_OVERRIDE")))) == ""


def test_what_was_executed_from_memory_is_no_file():
    seen = run(
        executables=(ExecutableSeen(path="/usr/bin/app"), ExecutableSeen(path="memfd:x")),
        files=(file("memfd:x", "exec", "map", "read"),),
    )
    profile = profile_of(seen)
    assert profile.rights.files[Origin.OBSERVED].keys() == {"/usr/bin/app"}
    assert any("executed from memory (memfd:x)" in note for note in profile.generated.notes)
    assert not any("memfd" in part for place in evidence_of(Recording.of([seen])) for part in place)
    assert missing(profile, seen) == ()
    assert "memory" not in notes(run(executables=(ExecutableSeen(path="/usr/bin/app"),)))


def test_a_masked_path_is_noted():
    assert "masked" in notes(run(files=(file(f"/srv/{MASK}/x", "read"),)))


def test_completeness_is_kept():
    lossy = run(gaps=(Gap(kind=GapKind.LOST_EVENTS, detail="ring buffer"),))
    assert profile_of(lossy).generated.completeness is Completeness.INCOMPLETE


def test_baseline_files_are_labelled():
    assert profile_of(run()).rights.files[Origin.BASELINE] == {"/dev/null": "read write"}
    seen = profile_of(run(files=(file("/dev/null", "read"),))).rights.files
    assert seen[Origin.OBSERVED]["/dev/null"] == "read"
    assert seen[Origin.BASELINE] == {"/dev/null": "write"}


def test_no_runs_no_profile():
    with pytest.raises(DocumentError, match="holds no run"):
        generate_profile(Recording(runs=()), name="app", baseline=baseline(), version="0.1.0")


def test_what_the_recorder_could_not_see_is_said():
    blind = run(
        files=(file("/gone", "read", result="absent"), file("/there", "read", result="unknown")),
        workload={"capabilities": ("CAP_CHOWN",)},
    )
    blind = msgspec.structs.replace(blind, host=msgspec.structs.replace(blind.host, unseen=tuple(Unseen)))
    profile = profile_of(blind)
    notes = " ".join(profile.generated.notes)
    assert "without results" in notes
    assert "1 names that led to nothing are not" in notes
    assert "none is granted, those of --cap-add included (CAP_CHOWN)" in notes
    assert profile.rights.capabilities == {}
    assert "/gone" not in profile.rights.files[Origin.OBSERVED]
    assert profile.rights.files[Origin.OBSERVED]["/there"] == "read"
    assert not any("without results" in note for note in profile_of(run()).generated.notes)
