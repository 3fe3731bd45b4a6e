"""The C core by itself: its decoder under sanitizers, what it refuses to run, and that a false claim is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden.errors import HardenError, UsageError
from harden.kernel.executable import HARDEN_EXEC, sealed_memfd
from harden.launch.encode import Header, encode
from harden.launch.ops import Check, Code, Op
from harden.launch.plan import Plan
from harden.launch.spawn import start
from harden.model.sandbox import FileRule, LandlockRules, SeccompFilter, View
from tests.sandboxes import ROOT, plan_of, python, shell

EXEC = ROOT / "sandbox/harden/_native/exec"
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
C = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]

pytestmark = pytest.mark.requires("gcc", "root", "userns", "seccomp")


def small_plan() -> Plan:
    """A plan with every kind of operation that the minimal view and Landlock bring."""
    rules = LandlockRules(
        handled_files=7,
        handled_network=3,
        scoped=0,
        files=(FileRule(path=b"/usr", access=5),),
        bind_tcp=(80,),
        connect_tcp=(443,),
    )
    seccomp = SeccompFilter(program=b"\x06\0\0\0\0\0\xff\x7f", exec_cookie=1 << 40)
    return plan_of(shell("true", view=View.MINIMAL, landlock=rules, seccomp=seccomp))


def run_exec(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HARDEN_EXEC, *arguments], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_every_corrupted_byte_is_refused_or_harmless(tmp_path):
    program = tmp_path / "plan_fuzz"
    subprocess.run(
        [*C, *SANITIZE, f"-I{EXEC}", str(ROOT / "tests/launch/plan_fuzz.c"), str(EXEC / "plan.c"), "-o", str(program)],
        check=True,
    )
    plan = tmp_path / "plan"
    plan.write_bytes(encode(small_plan().ops, Header()))
    ended = subprocess.run([program, plan], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    accepted, refused = map(int, ended.stdout.split())
    assert refused > 10_000
    # Most of the accepted ones have another letter in a string.
    assert accepted > 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_corrupted_plan_never_starts_anything(data):
    """The real program on plans with a few bytes changed: it says why and ends with 125."""
    good = bytearray(encode(small_plan().ops, Header()))
    # The header and the records; a changed letter of a message is no error.
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, 79))] ^= data.draw(st.integers(1, 255))
    memfd = sealed_memfd("plan", bytes(good))
    try:
        ended = run_exec(str(memfd), pass_fds=(memfd,), timeout=20)
    finally:
        os.close(memfd)
    assert (ended.returncode, ended.stdout) in ((125, ""), (124, ""), (0, ""))
    assert ended.returncode != 125 or ended.stderr.startswith("harden: ")


@pytest.mark.parametrize("argument", ["", "0", "-1", "x", "3x", "99999", "9999999"])
def test_what_is_no_plan_is_refused(argument):
    ended = run_exec(argument)
    assert ended.returncode == 125
    assert ended.stderr.startswith("harden: ")


def test_a_plan_that_is_not_sealed_is_refused():
    memfd = os.memfd_create("plan", os.MFD_ALLOW_SEALING)
    os.write(memfd, encode(small_plan().ops, Header()))
    ended = run_exec(str(memfd), pass_fds=(memfd,))
    os.close(memfd)
    assert (ended.returncode, "not a sealed memfd" in ended.stderr) == (125, True)


def test_set_user_id_is_refused(tmp_path):
    copy = tmp_path / "harden-exec"
    copy.write_bytes(HARDEN_EXEC.read_bytes())
    os.chown(copy, 1234, 1234)
    copy.chmod(0o4755)
    ended = subprocess.run([copy, "probe"], capture_output=True, text=True, check=False)
    assert ended.returncode == 125
    assert "set-user-id" in ended.stderr


def lie(step: Op) -> Op:
    """The same check with an expectation that the kernel will not confirm."""
    if step.slots[0] == Check.NAMESPACE:
        return msgspec.structs.replace(step, strings=(step.strings[0], b"none", *step.strings[2:]))
    if step.slots[0] == Check.ID_MAP:
        return msgspec.structs.replace(step, strings=(step.strings[0], b"0 1 2;0 1 2", *step.strings[2:]))
    return msgspec.structs.replace(step, numbers=(step.numbers[0] + 1,))


@pytest.mark.requires("overlay", "idmap")
@pytest.mark.parametrize("kind", [Check.NAMESPACE, Check.ID_MAP, Check.CAPABILITIES, Check.SECCOMP])
def test_a_control_that_is_not_in_force_stops_the_program(kind, tmp_path):
    seccomp = SeccompFilter(program=b"\x06\0\0\0\0\0\xff\x7f", exec_cookie=None)
    plan = plan_of(shell("echo ran", seccomp=seccomp))
    index = next(i for i, step in enumerate(plan.ops) if step.code is Code.CHECK and step.slots[0] == kind)
    control = plan.ops[index].strings[0].decode()
    ops = (*plan.ops[:index], lie(plan.ops[index]), *plan.ops[index + 1 :])
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with start(msgspec.structs.replace(plan, ops=ops), gate=False, stdout=writer) as sandbox:
        os.close(writer)
        with pytest.raises(HardenError, match=f"^{control}: the kernel says"):
            sandbox.wait(10)
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_a_nul_byte_is_refused_before_anything_starts():
    with pytest.raises(UsageError, match="NUL"):
        encode(plan_of(shell("true\0x")).ops, Header())


@pytest.mark.requires("overlay", "idmap", "cgroup2")
@pytest.mark.parametrize("view", [View.HOST, View.MINIMAL])
def test_the_whole_program_under_the_undefined_behaviour_sanitizer(view, tmp_path):
    program = tmp_path / "harden-exec"
    units = [str(path) for path in sorted(Path(EXEC).glob("*.c"))]
    flags = ["-g", "-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-fno-sanitize-recover=all"]
    subprocess.run([*C, *flags, *units, "-static", "-o", str(program)], check=True)
    code = (
        "import sys\nfrom pathlib import Path\nfrom harden.kernel import executable\n"
        "executable.HARDEN_EXEC = Path(sys.argv[1])\n"
        "from harden.model.sandbox import View\nfrom tests.sandboxes import run, shell\n"
        "ended = run(shell('echo ran; exit 3', view=View(sys.argv[2])))\n"
        "print(ended.text, ended.outcome.exit_status)\n"
    )
    ended = python(code, str(program), view.value)
    assert ended.stdout == "ran\n 3\n", ended.stderr
    assert sys.byteorder == "little"
