"""The OCI profile, read by an interpreter written from the runtime-spec, says what the decision says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden.bpf.action import ALLOW, EPERM, Action, errno_action
from harden.bpf.decision import Condition, Decision
from harden.bpf.instruction import decode
from harden.bpf.simulate import Simulator
from harden.bpf.verification import boundaries
from harden.enforce import load, locate
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import PROFILE_FORMAT, Generated, Profile, Rights
from harden.model.recording import Completeness
from harden.model.syscall import name_of, numbers
from harden.model.workload import Workload
from harden.render.formats import FORMATS
from harden.render.seccomp import MOST_BYTES, MOST_ENTRIES, render_seccomp
from harden.render.seccomp_bpf import render_bpf
from tests.bpf.sample_rights import SAMPLES, SERVER, SHELL, STATIC, arbitrary_arguments, arbitrary_rights
from tests.conftest import ROOT

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
    assert "syscall_500" in warnings


def test_what_the_format_cannot_say_is_listed():
    warnings = FORMATS["seccomp"].render(profile(STATIC)).warnings
    for part in ("no execve", "calls newer than", "x32", "--runtime"):
        assert any(part in warning for warning in warnings), part
    assert not any("socketcall" in warning for warning in warnings)
    assert any("socketcall" in warning for warning in FORMATS["seccomp"].render(profile(SHELL)).warnings)
    granted = Rights(architectures=(Arch.X86_64,), syscalls={Origin.OBSERVED: ("execve",)})
    assert not any("no execve" in warning for warning in FORMATS["seccomp"].render(profile(granted)).warnings)


def test_values_that_differ_in_one_bit_are_one_entry():
    rows = tuple((str(value),) for value in (*range(128), 300, 301, 0x1000))
    document = rendered(
        Rights(
            architectures=(Arch.X86_64,),
            syscalls={Origin.OBSERVED: ("ioctl",)},
            arguments={"ioctl": {Origin.OBSERVED: rows}},
        )
    )
    entries = [entry for entry in document["syscalls"] if entry["names"] == ["ioctl"]]
    assert len(entries) == 3
    for value in range(0x1100):
        allowed = evaluate(document, "ioctl", (0, value, 0, 0, 0, 0)) == ALLOW
        assert allowed == ((str(value),) in rows), value


@settings(max_examples=30)
@given(arbitrary_rights(arches=(Arch.X86_64,)), st.lists(arbitrary_arguments(), min_size=1, max_size=5))
def test_any_rights_are_said_exactly(rights, asked):
    document, table = rendered(rights), Decision.of(rights).tables[Arch.X86_64]
    for number in sorted(table.conditions):
        name = name_of(Arch.X86_64, number)
        for arguments in (*asked, *_allowed(table.conditions[number])):
            if name != "execve":
                assert evaluate(document, name, arguments) == table.action(number, arguments)


def _allowed(conditions: tuple[Condition, ...]) -> Iterator[tuple[int, ...]]:
    """Arguments that satisfy each condition, and some that miss it by a bit."""
    for condition in conditions:
        registers = [0] * 6
        for each in condition:
            registers[each.index] = each.value
        yield tuple(registers)
        for each in condition:
            yield tuple(
                value ^ (each.mask & -each.mask) * (index == each.index) for index, value in enumerate(registers)
            )


def test_a_big_profile_stays_within_what_kubernetes_takes():
    """Every call there is, with the argument rules of all shipped profiles together."""
    arguments: dict[str, dict[Origin, tuple[tuple[str, ...], ...]]] = {}
    for path in sorted((ROOT / "profiles/shipped").rglob("*.profile.toml")):
        shipped = load(locate(path), trust=True).rights
        for name, by_origin in shipped.arguments.items():
            rows = {row for rows in by_origin.values() for row in rows}
            arguments[name] = {
                Origin.OBSERVED: tuple(sorted(rows | set(arguments.get(name, {}).get(Origin.OBSERVED, ()))))
            }
    assert sum(len(rows[Origin.OBSERVED]) for rows in arguments.values()) > 40
    rights = Rights(
        architectures=(Arch.X86_64, Arch.I386, Arch.X32),
        syscalls={Origin.OBSERVED: tuple(sorted(numbers(Arch.X86_64)))},
        arguments=arguments,
    )
    result = render_seccomp(profile(rights))
    assert 10 < len(json.loads(result.content)["syscalls"]) <= MOST_ENTRIES
    assert len(result.content) <= MOST_BYTES
    assert not any("Kubernetes" in warning for warning in result.warnings)


def test_more_entries_than_kubernetes_takes_are_listed():
    rows = tuple((str(value * 5),) for value in range(300))
    many = Rights(
        architectures=(Arch.X86_64,),
        syscalls={Origin.OBSERVED: ("ioctl",)},
        arguments={"ioctl": {Origin.OBSERVED: rows}},
    )
    assert any("Kubernetes takes 128 and 1048576" in warning for warning in render_seccomp(profile(many)).warnings)


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
    assert any("no execve" in warning for warning in FORMATS["bpf"].render(profile(SERVER)).warnings)


def test_raw_program_of_a_profile_with_execve_is_exact():
    assert not any("no execve" in warning for warning in FORMATS["bpf"].render(profile(SHELL)).warnings)
    simulator, decision = Simulator(decode(render_bpf(profile(SHELL)).content)), Decision.of(SHELL)
    for number in range(460):
        expected = decision.action(Arch.X86_64.audit_arch, number, (0,) * 6)
        assert simulator.run(Arch.X86_64.audit_arch, number) == expected
