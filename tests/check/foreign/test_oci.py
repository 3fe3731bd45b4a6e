"""OCI seccomp JSON as a subject."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harden.bpf.decision import Decision
from harden.check.foreign import read_foreign
from harden.check.passage import lets_through
from harden.check.subject import Reach, Section, SubjectKind
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.profile import PROFILE_FORMAT, Generated, Profile, Rights
from harden.model.recording import Completeness
from harden.model.syscall import numbers
from harden.model.workload import Workload
from harden.render.seccomp import render_seccomp
from tests.bpf.sample_rights import SERVER, STATIC

X86_64 = Arch.X86_64


def read(document: Any, file: str = "seccomp.json"):
    return read_foreign(json.dumps(document, indent=1).encode(), file)


def filter_of(*entries: dict[str, Any], default: str = "SCMP_ACT_ERRNO", **more: Any):
    found = read({"defaultAction": default, "syscalls": list(entries), **more}).seccomp
    assert found is not None
    return found


def allow(*names: str, args: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", "args": list(args)}


def test_names_places_and_the_default():
    subject = read({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [allow("read", "ptrace")]}, "a/web.json")
    assert subject.kind is SubjectKind.OCI_SECCOMP
    assert subject.name == "web"
    assert subject.capabilities is None
    assert subject.files is None
    assert subject.seccomp is not None
    assert subject.seccomp.unknown == 0x80000000
    assert subject.seccomp.architectures == (X86_64,)
    assert subject.seccomp.unchecked == ()
    assert subject.seccomp.reach(X86_64, "ptrace") is Reach.ALWAYS
    assert subject.seccomp.reach(X86_64, "bpf") is Reach.NEVER
    assert str(subject.locator.find(Section.SYSCALL, "ptrace")) == "a/web.json:7:5"
    assert str(subject.locator.find(Section.DEFAULT)) == "a/web.json:2:2"
    assert str(subject.locator.find(Section.CAPABILITY, "CAP_KILL")) == "a/web.json:1:1"


@pytest.mark.parametrize(
    ("operator", "values", "passing", "refused"),
    [
        ("SCMP_CMP_EQ", {"value": 5}, 5, 6),
        ("SCMP_CMP_NE", {"value": 5}, 6, 5),
        ("SCMP_CMP_LT", {"value": 5}, 4, 5),
        ("SCMP_CMP_LE", {"value": 5}, 5, 6),
        ("SCMP_CMP_GT", {"value": 5}, 6, 5),
        ("SCMP_CMP_GE", {"value": 5}, 5, 4),
        ("SCMP_CMP_MASKED_EQ", {"value": 0x7E020000, "valueTwo": 0}, 17, 0x10000000),
    ],
)
def test_comparisons(operator, values, passing, refused):
    found = filter_of(allow("clone", args=({"index": 0, "op": operator, **values},)))
    assert lets_through(found.action(X86_64, "clone", (passing, 0, 0, 0, 0, 0)))
    assert not lets_through(found.action(X86_64, "clone", (refused, 0, 0, 0, 0, 0)))
    assert found.reach(X86_64, "clone") is Reach.SOMETIMES


def test_comparisons_of_several_arguments_must_all_hold_and_of_one_any():
    both = ({"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"})
    found = filter_of(allow("socket", args=both))
    assert lets_through(found.action(X86_64, "socket", (1, 2, 0, 0, 0, 0)))
    assert not lets_through(found.action(X86_64, "socket", (1, 3, 0, 0, 0, 0)))
    either = ({"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"})
    found = filter_of(allow("socket", args=either))
    assert lets_through(found.action(X86_64, "socket", (2, 0, 0, 0, 0, 0)))
    assert not lets_through(found.action(X86_64, "socket", (3, 0, 0, 0, 0, 0)))


def test_rules_that_together_allow_everything_are_seen_through():
    equal = {"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}
    other = {"index": 0, "value": 5, "op": "SCMP_CMP_NE"}
    assert (
        filter_of(allow("ptrace", args=(equal,)), allow("ptrace", args=(other,))).reach(X86_64, "ptrace")
        is Reach.ALWAYS
    )


def test_the_most_permissive_rule_decides():
    found = filter_of({"names": ["bpf"], "action": "SCMP_ACT_KILL"}, allow("bpf"))
    assert found.reach(X86_64, "bpf") is Reach.ALWAYS


def test_log_and_trace_get_through_and_notify_does_not():
    for action, expected in (
        ("LOG", Reach.ALWAYS),
        ("TRACE", Reach.ALWAYS),
        ("NOTIFY", Reach.NEVER),
        ("TRAP", Reach.NEVER),
    ):
        found = filter_of({"names": ["bpf"], "action": f"SCMP_ACT_{action}"})
        assert found.reach(X86_64, "bpf") is expected


def test_architectures_are_those_of_one_machine():
    named = ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_S390X"]
    assert filter_of(architectures=named).architectures == (Arch.AARCH64,)
    assert filter_of(architectures=[*named, "SCMP_ARCH_X86_64"]).architectures == (Arch.I386, Arch.X32, Arch.X86_64)
    assert filter_of().architectures == (X86_64,)


def test_a_bundle_without_seccomp_lets_everything_through():
    subject = read({"ociVersion": "1.1.0", "linux": {"namespaces": []}}, "config.json")
    assert subject.seccomp is not None
    assert subject.seccomp.reach(X86_64, "ptrace") is Reach.ALWAYS


def test_a_bundle_brings_its_capabilities():
    sets = {"bounding": ["CAP_KILL", "CAP_SYS_ADMIN"], "ambient": ["CAP_CHOWN"]}
    subject = read({"process": {"capabilities": sets}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}})
    assert subject.capabilities == {Capability.CAP_KILL, Capability.CAP_SYS_ADMIN, Capability.CAP_CHOWN}
    assert subject.locator.find(Section.CAPABILITY, "CAP_SYS_ADMIN").line == 6


def test_what_a_runtime_ignores_is_noted():
    subject = read({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{**allow("read", "rede"), "arg": []}]})
    assert [(each.location.line, each.text.partition(":")[0]) for each in subject.not_checked] == [
        (7, "allows calls that no architecture known here has"),
        (11, "key 'arg' is none of this format"),
    ]


@pytest.mark.parametrize("rights", [SERVER, STATIC], ids=["server", "static"])
def test_what_harden_exports_reads_as_what_it_means(rights: Rights):
    profile = Profile(
        format=PROFILE_FORMAT,
        name="sample",
        generated=Generated(harden="0", runs=("a",), completeness=next(iter(Completeness))),
        workload=Workload(program="/bin/true", argv=("true",), cwd="/"),
        rights=rights,
    )
    found = read_foreign(render_seccomp(profile).content, "exported.json").seccomp
    assert found is not None
    decision = Decision.of(rights)
    for name, number in numbers(X86_64).items():
        if name == "execve":
            continue
        conditions = decision.tables[X86_64].conditions.get(number, ())
        for comparison in (each for condition in conditions for each in condition):
            for value in (comparison.value, comparison.value ^ (comparison.mask & -comparison.mask)):
                arguments = [0] * 6
                arguments[comparison.index] = value
                assert found.action(X86_64, name, arguments) == decision.action(X86_64.audit_arch, number, arguments)
        if not conditions:
            assert found.action(X86_64, name, (0,) * 6) == decision.action(X86_64.audit_arch, number, (0,) * 6)


ENTRY = b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW",\n'
BAD = {
    "letters": (b'{"defaultAction": "SCMP_ACT_ERRNO",\n "Syscalls": []}', r"bad\.json:2:2: .*in other letters"),
    "not JSON": (b'{"defaultAction": }', r"bad\.json:1:19: not JSON"),
    "twice": (b'{"defaultAction": "SCMP_ACT_ALLOW",\n "defaultAction": "SCMP_ACT_KILL"}', r"bad\.json:2:2: .*twice"),
    "no default": (b'{"linux": {"seccomp": {"syscalls": []}}}', r"bad\.json:1:\d+: .*defaultAction must be text"),
    "no action": (b'{"defaultAction": "ALLOW"}', r"bad\.json:1:2: .*no action"),
    "no section": (b'{"hello": 1}', r"bad\.json:1:1: \$\.linux must be an object"),
    "calls": (b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": {}}', r"bad\.json:1:37: .*must be a list"),
    "no names": (b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{}]}', r"names no call"),
    "operator": (
        ENTRY + b'"args": [{"index": 0, "value": 1, "op": "EQ"}]}]}',
        r"bad\.json:2:35: .*no comparison",
    ),
    "index": (
        ENTRY + b'"args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}',
        r"bad\.json:2:11: .*whole number from 0 to 0x5",
    ),
    "deep": (b'{"a":' * 100_000, r"bad\.json.*"),
    "digits": (b'{"defaultErrnoRet": ' + b"9" * 5000 + b"}", r"bad\.json.*"),
    "constant": (b'{"defaultErrnoRet": NaN}', r"not JSON"),
    "UTF-8": (b'{"\xff": 1}', r"bad\.json:1:3: not UTF-8"),
    "rules": (
        b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": ['
        + b",".join([b'{"names": [%s], "action": "SCMP_ACT_ALLOW"}' % b",".join([b'"read"'] * 100)] * 201)
        + b"]}",
        r"more than 20000 rules",
    ),
    "size": (b'{"a": "' + b"x" * (4 << 20) + b'"}', r"at most 4194304 are read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_names_its_place(name):
    data, message = BAD[name]
    with pytest.raises(DocumentError, match=message):
        read_foreign(data, "bad.json")


def test_a_long_list_of_values_is_judged_within_the_limit():
    entries = [allow("ioctl", args=({"index": 1, "value": 7 * number, "op": "SCMP_CMP_EQ"},)) for number in range(3000)]
    assert filter_of(*entries).reach(X86_64, "ioctl") is Reach.SOMETIMES
    refused = [{**entry, "action": "SCMP_ACT_ERRNO"} for entry in entries]
    # Not every combination was tried, so it is not said that nothing gets through.
    assert filter_of(*refused).reach(X86_64, "ioctl") is Reach.SOMETIMES
