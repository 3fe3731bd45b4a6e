"""Docker's and Podman's seccomp profiles, resolved for a host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harden.check.foreign import read_foreign
from harden.check.subject import Reach, SubjectKind
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.capability import Capability

X86_64 = Arch.X86_64
ARCH_MAP = [
    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
]


def document(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"defaultAction": "SCMP_ACT_ERRNO", "archMap": ARCH_MAP, "syscalls": list(entries), **more}


def allow(name: str, **more: Any) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **more}


def read(what: dict[str, Any], **assumed: Any):
    subject = read_foreign(json.dumps(what, indent=1).encode(), "default.json", **assumed)
    assert subject.kind is SubjectKind.DOCKER_SECCOMP
    return subject


def reach(what: dict[str, Any], name: str, **assumed: Any) -> Reach:
    found = read(what, **assumed).seccomp
    assert found is not None
    answer: Reach = found.reach(found.architectures[-1], name)
    return answer


def test_architectures_come_from_the_map_of_the_machine():
    found = read(document(allow("read"))).seccomp
    assert found is not None
    assert found.architectures == (Arch.I386, Arch.X32, Arch.X86_64)
    found = read(document(allow("read")), machine=Arch.AARCH64).seccomp
    assert found is not None
    assert found.architectures == (Arch.AARCH64,)


@pytest.mark.parametrize(
    ("condition", "capabilities", "expected"),
    [
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, set(), Reach.NEVER),
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, {Capability.CAP_SYS_ADMIN}, Reach.ALWAYS),
        ({"includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}}, {Capability.CAP_BPF}, Reach.NEVER),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, {Capability.CAP_SYS_ADMIN}, Reach.NEVER),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}}, {Capability.CAP_BPF}, Reach.NEVER),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, set(), Reach.ALWAYS),
        ({"includes": {"arches": ["amd64"]}}, set(), Reach.ALWAYS),
        ({"includes": {"arches": ["arm64", "s390x"]}}, set(), Reach.NEVER),
        ({"excludes": {"arches": ["s390", "s390x"]}}, set(), Reach.ALWAYS),
        ({"excludes": {"arches": ["amd64"]}}, set(), Reach.NEVER),
    ],
)
def test_conditions(condition, capabilities, expected):
    assert reach(document(allow("mount", **condition)), "mount", capabilities=frozenset(capabilities)) is expected


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [(None, Reach.ALWAYS), ((4, 7), Reach.NEVER), ((4, 8), Reach.ALWAYS), ((5, 0), Reach.ALWAYS)],
)
def test_kernel_versions(kernel, expected):
    assert reach(document(allow("ptrace", includes={"minKernel": "4.8"})), "ptrace", kernel=kernel) is expected


def test_podman_names_errnos():
    what = document(allow("read"), defaultErrno="ENOSYS", defaultErrnoRet=None)
    found = read(what).seccomp
    assert found is not None
    assert found.unknown == 0x00050000 | 38
    what = document({"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errno": "EPERM"}, defaultErrnoRet=38)
    found = read(what).seccomp
    assert found is not None
    assert found.action(X86_64, "bpf", (0,) * 6) == 0x00050001
    assert found.action(X86_64, "swapon", (0,) * 6) == 0x00050000 | 38


def test_the_place_of_a_call_is_that_of_the_entry_that_allows_it():
    what = document(allow("bpf", includes={"caps": ["CAP_BPF"]}), {"names": ["bpf"], "action": "SCMP_ACT_ERRNO"})
    lines = json.dumps(what, indent=1).splitlines()
    places = [number for number, line in enumerate(lines, start=1) if '"bpf"' in line]
    given = read(what, capabilities=frozenset({Capability.CAP_BPF})).locator
    refused = read(what, capabilities=frozenset()).locator
    from harden.check.subject import Section

    assert given.find(Section.SYSCALL, "bpf").line == places[0]
    assert refused.find(Section.SYSCALL, "bpf").line == places[1]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (document(architectures=["SCMP_ARCH_X86"]), "both given"),
        (document(allow("read", includes={"caps": ["CAP_NONSENSE"]})), "no capability"),
        (document(allow("read", includes={"minKernel": "new"})), "no kernel version"),
        (document(allow("read", includes=[])), None),
        (document(allow("read", includes=["x"])), "must be an object"),
        (document(defaultErrno="NOSUCH"), "no errno"),
        (document(defaultErrno="EINVALID"), "no errno"),
    ],
)
def test_bad_input(what, message):
    data = json.dumps(what).encode()
    if message is None:
        read_foreign(data, "default.json")
    else:
        with pytest.raises(DocumentError, match=rf"^default\.json:1:\d+: .*{message}"):
            read_foreign(data, "default.json")


def test_an_unknown_condition_is_noted():
    subject = read(document(allow("mount", includes={"capabilities": ["CAP_SYS_ADMIN"]})))
    assert [each.text.partition(" is ")[0] for each in subject.not_checked] == ["key 'capabilities'"]
