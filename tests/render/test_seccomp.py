"""The OCI profile, read by an interpreter written from the runtime-spec, says what the decision says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from harden.bpf.action import ALLOW, EPERM, Action, errno_action
from harden.bpf.decision import Decision
from harden.bpf.instruction import decode
from harden.bpf.simulate import Simulator
from harden.bpf.verification import boundaries
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import PROFILE_FORMAT, Generated, Profile, Rights
from harden.model.recording import Completeness
from harden.model.syscall import name_of, numbers
from harden.model.workload import Workload
from harden.render.seccomp import render_seccomp
from harden.render.seccomp_bpf import render_bpf
from tests.bpf.sample_rights import SAMPLES, SERVER, SHELL, STATIC

OPERATORS = {
    "SCMP_CMP_NE": lambda argument, each: argument != each["value"],
    "SCMP_CMP_EQ": lambda argument, each: argument == each["value"],
    "SCMP_CMP_MASKED_EQ": lambda argument, each: argument & each["value"] == each["valueTwo"],
}
ACTIONS = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"}


def profile(rights: Rights) -> Profile:
    return Profile(
        format=PROFILE_FORMAT,
        name="sample",
        generated=Generated(harden="0", runs=("a",), completeness=next(iter(Completeness))),
        workload=Workload(program="/bin/true", argv=("true",), cwd="/"),
        rights=rights,
    )


def rendered(rights: Rights) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_seccomp(profile(rights)).content)
    return document


def evaluate(document: dict[str, Any], name: str, arguments) -> Action:
    """runtime-spec, config-linux.md: the arguments of one entry must all match; no entry: the default."""
    found = {
        (entry["action"], entry.get("errnoRet", 1))
        for entry in document["syscalls"]
        if name in entry["names"]
        and all(OPERATORS[each["op"]](arguments[each["index"]], each) for each in entry.get("args", ()))
    }
    assert len(found) <= 1, f"{name}: entries contradict each other"
    action, number = found.pop() if found else (document["defaultAction"], document["defaultErrnoRet"])
    return ALLOW if action == "SCMP_ACT_ALLOW" else errno_action(number)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_structure(name):
    document = rendered(SAMPLES[name])
    assert document.keys() == {"defaultAction", "defaultErrnoRet", "architectures", "syscalls"}
    assert document["defaultAction"] == "SCMP_ACT_ERRNO"
    assert set(document["architectures"]) <= {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"}
    assert 0 < len(document["syscalls"]) <= 128
    for entry in document["syscalls"]:
        assert entry.keys() <= {"names", "action", "errnoRet", "args"}
        assert entry["action"] in ACTIONS
        assert entry["names"] == sorted(set(entry["names"])) != []
        assert ("errnoRet" in entry) == (entry["action"] == "SCMP_ACT_ERRNO")
        for each in entry.get("args", ()):
            assert each.keys() == {"index", "value", "valueTwo", "op"}
            assert each["value"] & each["valueTwo"] == each["valueTwo"]
        indices = [each["index"] for each in entry.get("args", ())]
        assert len(indices) == len(set(indices)), "runc takes several comparisons of one argument as alternatives"


@pytest.mark.parametrize("name", ["server", "static"])
def test_it_says_what_the_decision_says(name):
    document, decision = rendered(SAMPLES[name]), Decision.of(SAMPLES[name])
    table = decision.tables[Arch.X86_64]
    asked = 0
    for point in boundaries(decision):
        call = name_of(Arch.X86_64, point.number)
        if point.arch != Arch.X86_64.audit_arch or point.number not in table.actions.keys() | table.conditions.keys():
            continue
        for arguments in point.arguments:
            expected = ALLOW if call == "execve" else table.action(point.number, arguments)
            assert evaluate(document, call, arguments) == expected, (call, arguments)
            asked += 1
    assert asked > 1000


def test_random_arguments_of_ruled_calls():
    document, table = rendered(SERVER), Decision.of(SERVER).tables[Arch.X86_64]
    chosen = random.Random(7)
    for _ in range(2000):
        number = chosen.choice(sorted(table.conditions))
        arguments = [chosen.getrandbits(chosen.choice((2, 5, 15, 32, 64))) for _ in range(6)]
        assert evaluate(document, name_of(Arch.X86_64, number), arguments) == table.action(number, arguments)


def test_i386_rules_that_can_be_named_are_kept():
    document, table = rendered(SHELL), Decision.of(SHELL).tables[Arch.I386]
    for call in ("mmap2", "fcntl64", "socketcall", "unshare", "mseal", "ptrace"):
        for value in (0, 1, 2, 4, 6, 0x10000000):
            arguments = (value,) * 6
            assert evaluate(document, call, arguments) == table.action(numbers(Arch.I386)[call], arguments)
    warnings = " ".join(render_seccomp(profile(SHELL)).warnings)
    assert "mmap: the rule for x86_64 is written for x86_64, i386" in warnings
    assert "socketcall" in warnings
    assert "syscall_500" in warnings


def test_what_the_format_cannot_say_is_listed():
    warnings = render_seccomp(profile(STATIC)).warnings
    for part in ("execve is allowed", "newer than number", "x32", "openat"):
        assert any(part in warning for warning in warnings), part
    granted = Rights(architectures=(Arch.X86_64,), syscalls={Origin.OBSERVED: ("execve",)})
    assert not any("execve is allowed" in warning for warning in render_seccomp(profile(granted)).warnings)


def test_more_entries_than_kubernetes_takes_are_listed():
    rows = tuple((str(value),) for value in range(130))
    many = Rights(
        architectures=(Arch.X86_64,),
        syscalls={Origin.OBSERVED: ("ioctl",)},
        arguments={"ioctl": {Origin.OBSERVED: rows}},
    )
    assert any("Kubernetes takes 128" in warning for warning in render_seccomp(profile(many)).warnings)


def test_the_same_profile_gives_the_same_bytes():
    assert render_seccomp(profile(SERVER)) == render_seccomp(profile(SERVER))


def test_raw_program_allows_the_loader_to_execute():
    result = render_bpf(profile(SERVER))
    simulator, decision = Simulator(decode(result.content)), Decision.of(SERVER)
    nr = numbers(Arch.X86_64)
    for call in ("read", "ptrace", "statx", "socket"):
        expected = decision.action(Arch.X86_64.audit_arch, nr[call], (0,) * 6)
        assert simulator.run(Arch.X86_64.audit_arch, nr[call]) == expected
    assert decision.action(Arch.X86_64.audit_arch, nr["execve"], (0,) * 6) == EPERM
    assert simulator.run(Arch.X86_64.audit_arch, nr["execve"]) == ALLOW
    assert any("execve is allowed" in warning for warning in result.warnings)


def test_raw_program_of_a_profile_with_execve_is_exact():
    assert render_bpf(profile(SHELL)).warnings == ()
