"""The kernel answers under a compiled filter what the simulator and the decision say it answers."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
from collections.abc import Sequence

import pytest

from harden.bpf.action import ALLOW, ENOSYS, EPERM, KILL_PROCESS, Action, errno_action
from harden.bpf.compile import compile_filter
from harden.bpf.decision import Decision
from harden.bpf.instruction import RETURN, Instruction, decode, encode
from harden.bpf.libseccomp import ArgumentRule, Operator, Rule, compile_rules
from harden.bpf.simulate import Arguments, Simulator
from harden.model.arch import X32_SYSCALL_BIT, Arch
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import numbers
from tests.bpf.sample_rights import COOKIE, SAMPLES, SERVER, SHELL

pytestmark = pytest.mark.requires("gcc", "seccomp", "x86_64")

MARK = errno_action(errno.ENOTUNIQ)
"""Stands for ALLOW, so that calls with random arguments are decided by the kernel and never carried out."""
WORDS = (0, 1, 2, 3, 4, 6, 16, 0x5401, 0x10000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
PASSED_THROUGH = ("uretprobe", "uprobe")
"""Made by the kernel's own trampolines, and kept from filters by newer kernels (kernel/seccomp.c)."""
FILTERED = sorted(set(range(600)) - {numbers(Arch.X86_64)[name] for name in PASSED_THROUGH})
Call = tuple[Arch, int, Arguments]


@pytest.fixture(scope="session")
def probe(victim, tmp_path_factory):
    """Makes calls under a program and gives what the kernel said, as lines."""
    folder = tmp_path_factory.mktemp("filters")

    def ask(program: Sequence[Instruction], calls: Sequence[Call]) -> list[str]:
        path = folder / "filter.bpf"
        path.write_bytes(encode(program))
        lines = [
            " ".join(["int80" if arch is Arch.I386 else "syscall", *(f"{value:x}" for value in (number, *arguments))])
            for arch, number, arguments in calls
        ]
        result = subprocess.run(
            [victim("filter_probe"), path], input="\n".join(lines), capture_output=True, text=True, check=True
        )
        return result.stdout.splitlines()

    return ask


def answer(action: Action) -> str:
    return f"signal {int(signal.SIGSYS)}" if action == KILL_PROCESS else f"errno {action & 0xFFFF}"


def marked(program: Sequence[Instruction]) -> list[Instruction]:
    return [each._replace(k=MARK) if each.code == RETURN and each.k == ALLOW else each for each in program]


def random_calls(chosen: random.Random, decision: Decision, count: int) -> list[Call]:
    calls: list[Call] = []
    tables = list(decision.tables.values())
    for _ in range(count):
        table = chosen.choice(tables)
        ruled = sorted(table.conditions)
        number = chosen.choice(ruled) if ruled and chosen.random() < 0.5 else chosen.choice(FILTERED)
        arch = Arch.X86_64 if table.arch is Arch.X32 else table.arch
        if arch is Arch.X86_64 and chosen.random() < 0.02:
            number |= X32_SYSCALL_BIT
        word = chosen.choice
        registers = [word(WORDS) | (word(WORDS) << 32 if chosen.random() < 0.3 else 0) for _ in range(6)]
        if number in table.conditions and chosen.random() < 0.7:
            for each in chosen.choice(table.conditions[number]):
                registers[each.index] = each.value | chosen.getrandbits(64) & ~each.mask & 0xFFFFFFFFFFFFFFFF
        if arch is Arch.I386:
            registers = [value & 0xFFFFFFFF for value in registers]
        a, b, c, d, e, f = registers
        calls.append((arch, number, (a, b, c, d, e, f)))
    return calls


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_kernel_simulator_and_decision_agree(probe, name):
    decision = Decision.of(SAMPLES[name], COOKIE)
    program = marked(decode(compile_filter(SAMPLES[name], exec_cookie=COOKIE).program))
    simulator = Simulator(program)
    calls = random_calls(random.Random(20), decision, 3000)
    if name == "static":
        calls += [(Arch.I386, number, (0,) * 6) for number in range(20)]
    for (arch, number, arguments), found in zip(calls, probe(program, calls), strict=True):
        meant = decision.action(arch.audit_arch, number, arguments)
        meant = MARK if meant == ALLOW else meant
        assert simulator.run(arch.audit_arch, number, arguments) == meant
        assert found == answer(meant), (arch, number, [hex(value) for value in arguments])


def test_every_number_of_every_table(probe):
    decision = Decision.of(SHELL)
    program = marked(decode(compile_filter(SHELL).program))
    calls: list[Call] = [(Arch.X86_64, number, (1 << 32 | 3,) * 6) for number in FILTERED]
    calls += [(Arch.I386, number, (3,) * 6) for number in range(600)]
    for (arch, number, arguments), found in zip(calls, probe(program, calls), strict=True):
        meant = decision.action(arch.audit_arch, number, arguments)
        assert found == answer(MARK if meant == ALLOW else meant), (arch, number)


def test_granted_calls_run_and_others_do_not(probe):
    granted = ("getpid", "getppid", "socket", "write")
    rights = Rights(
        architectures=(Arch.X86_64,),
        syscalls={Origin.OBSERVED: granted},
        arguments={"socket": {Origin.OBSERVED: (("AF_UNIX", "SOCK_STREAM", "0"),)}},
    )
    nr = numbers(Arch.X86_64)
    none = (0,) * 6
    stream_cloexec = 0o2000001
    calls: list[Call] = [
        (Arch.X86_64, nr["getppid"], none),
        (Arch.X86_64, nr["write"], (0xFFFFFFFF, 0, 0, 0, 0, 0)),
        (Arch.X86_64, nr["socket"], (1, stream_cloexec, 0, 0, 0, 0)),
        (Arch.X86_64, nr["socket"], (1 << 32 | 1, 1, 1 << 63, 0, 0, 0)),
        (Arch.X86_64, nr["socket"], (2, 1, 0, 0, 0, 0)),
        (Arch.X86_64, nr["getuid"], none),
        (Arch.X86_64, nr["statx"], none),
        (Arch.X86_64, 9999, none),
        (Arch.X86_64, 0xFFFFFFFF, none),
        (Arch.X86_64, X32_SYSCALL_BIT | nr["getppid"], none),
        (Arch.I386, numbers(Arch.I386)["getppid"], none),
        (Arch.X86_64, nr["getppid"], none),
    ]
    found = probe(decode(compile_filter(rights).program), calls)
    assert [line.split()[0] for line in found[:4]] == ["return", "errno", "return", "return"]
    assert found[1] == f"errno {errno.EBADF}"
    assert found[4:11] == [answer(EPERM)] * 2 + [answer(ENOSYS)] * 3 + [answer(KILL_PROCESS)] * 2
    assert found[11].startswith("return")


def test_the_cookie_opens_execve_and_nothing_else_does(probe):
    filter_ = compile_filter(SERVER, exec_cookie=COOKIE)
    execve = numbers(Arch.X86_64)["execve"]
    sixth = (COOKIE, 0, COOKIE & 0xFFFFFFFF, COOKIE >> 32 << 32, COOKIE + 1, COOKIE - 1)
    found = probe(decode(filter_.program), [(Arch.X86_64, execve, (0, 0, 0, 0, 0, value)) for value in sixth])
    # A path at address 0: the kernel gets as far as reading it.
    assert found == [f"errno {errno.EFAULT}"] + [answer(EPERM)] * 5


def test_the_weakened_filter_is_weak_in_the_kernel_too(probe):
    getppid, limit = numbers(Arch.X86_64)["getppid"], 0x2_0000_0005
    rules = (
        Rule(ALLOW, getppid, (ArgumentRule(0, Operator.GE, 2),)),
        Rule(ALLOW, getppid, (ArgumentRule(1, Operator.LE, 0), ArgumentRule(0, Operator.LE, limit))),
    )
    program = compile_rules(rules, EPERM)
    simulator = Simulator(program)
    calls: list[Call] = [(Arch.X86_64, getppid, (a0, a1, 0, 0, 0, 0)) for a0 in (0, 1, 2, limit) for a1 in (0, 1, 3)]
    for (_, number, arguments), found in zip(calls, probe(program, calls), strict=True):
        allowed = simulator.run(Arch.X86_64.audit_arch, number, arguments) == ALLOW
        assert found.startswith("return") == allowed, arguments


def test_the_kernel_refuses_what_the_simulator_refuses(victim, tmp_path):
    bad = tmp_path / "bad.bpf"
    for program in ([Instruction(0x20, 0)], [Instruction(0x28, 0), Instruction(RETURN)], [Instruction(5, 9)]):
        bad.write_bytes(encode(program))
        result = subprocess.run([victim("filter_probe"), bad], input="syscall 6e 0 0 0 0 0 0", text=True, check=False)
        assert result.returncode == 3
