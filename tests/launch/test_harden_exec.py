"""The C core by itself: its decoder under sanitizers, what it refuses to run, and that a false claim is found out."""

from __future__ import annotations

import ast
import ctypes
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harden.errors import HardenError, UsageError
from harden.kernel.executable import HARDEN_EXEC
from harden.launch.encode import Header, encode
from harden.launch.ops import Check, Code, Op
from harden.launch.spawn import start
from harden.model.sandbox import SeccompFilter, View
from tests.launch.fuzz import fuzz
from tests.launch.plans import full_plan, small_plan
from tests.sandboxes import ROOT, plan_of, python, shell

EXEC = ROOT / "sandbox/harden/_native/exec"
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
C = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]

pytestmark = pytest.mark.requires("gcc", "root", "userns", "seccomp")


def run_exec(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HARDEN_EXEC, *arguments], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("kind", ["small", "full"])
def test_every_corrupted_byte_is_refused_or_harmless(tmp_path, kind):
    program = tmp_path / "plan_mutations"
    units = [ROOT / "tests/launch/plan_mutations.c", ROOT / "tests/launch/plan_read.c", EXEC / "plan.c"]
    subprocess.run([*C, *SANITIZE, f"-I{EXEC}", *map(str, units), "-o", str(program)], check=True)
    file = tmp_path / "plan"
    good = small_plan() if kind == "small" else full_plan()
    file.write_bytes(encode(good.ops, Header(cgroup_fd=-1 if kind == "small" else 3)))
    ended = subprocess.run([program, file], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    accepted, refused = map(int, ended.stdout.split())
    assert refused > 10_000
    # Most of the accepted ones have another letter in a string.
    assert accepted > 1


@pytest.mark.requires("clang-runtime")
def test_libfuzzer_finds_nothing_in_a_few_seconds(tmp_path):
    ended = fuzz(5, tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    executed = re.search(r"number_of_executed_units: (\d+)", ended.stderr)
    assert executed
    assert int(executed[1]) > 1000


HEADER_FIELDS = ((0, 8), *((at, 4) for at in range(8, 72, 4)), (72, 8), *((at, 4) for at in range(80, 104, 4)))
OP_FIELDS = ((0, 2), (2, 2), *((at, 4) for at in range(4, 32, 4)), (32, 8), (40, 8), (48, 8))
"""Offset and size of every field of struct plan_header and struct op but the two messages."""


def corrupted_plans() -> Iterator[bytes]:
    """The plan with one field of the header or of an operation changed: to 0, 1, its maximum, or something else."""
    good = encode(small_plan().ops, Header(timeout_s=5))
    ops = len(small_plan().ops)
    fields = [*HEADER_FIELDS, *((104 + 64 * op + at, size) for op in range(ops) for at, size in OP_FIELDS)]
    numbers = random.Random(1)
    for at, size in fields:
        for value in (0, 1, (1 << 8 * size) - 1, numbers.getrandbits(8 * size)):
            changed = value.to_bytes(size, sys.byteorder)
            if good[at : at + size] != changed:
                yield good[:at] + changed + good[at + size :]


RUN_PLANS = """
import os, sys
from harden.kernel.executable import open_harden_exec, sealed_memfd
harden_exec = open_harden_exec()
plans, statuses = open(sys.argv[1], "rb").read(), set()
null = os.open("/dev/null", os.O_RDWR)
while plans:
    size = int.from_bytes(plans[12:16], sys.byteorder)
    plan, plans = sealed_memfd("plan", plans[:size]), plans[size:]
    actions = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in range(3)]
    actions += [(os.POSIX_SPAWN_DUP2, plan, plan)]
    pid = os.posix_spawn(f"/proc/self/fd/{harden_exec}", ["harden-exec", str(plan)], {}, file_actions=actions)
    statuses.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.close(plan)
print(sorted(statuses))
"""


@pytest.mark.requires("overlay", "idmap")
def test_no_corrupted_field_leads_to_more_than_an_error(tmp_path):
    """Refused by the decoder, or by an operation; what is no error starts nothing but the sandboxed program."""
    library = tmp_path / "plan_read.so"
    units = [ROOT / "tests/launch/plan_read.c", EXEC / "plan.c"]
    subprocess.run([*C, "-O1", "-shared", "-fPIC", f"-I{EXEC}", *map(str, units), "-o", str(library)], check=True)
    plan_read = ctypes.CDLL(str(library)).plan_read
    plan_read.restype = ctypes.c_bool
    plans = list(corrupted_plans())
    accepted = [plan for plan in plans if plan_read(plan, ctypes.c_size_t(len(plan)))]
    assert len(plans) > 5 * len(accepted) > 0
    (tmp_path / "plans").write_bytes(b"".join(accepted))
    before = host_state()
    ended = python(RUN_PLANS, str(tmp_path / "plans"), timeout_s=200)
    assert ended.stderr == ""
    # 2 is what the shell says about arguments that are not its own any more.
    assert set(ast.literal_eval(ended.stdout)) <= {0, 2, 124, 125, 126, 127, 128 + signal.SIGKILL}
    assert host_state() == before


def host_state() -> tuple[str, ...]:
    """What a sandbox that is none would change."""
    return Path("/proc/self/mountinfo").read_text(), os.uname().nodename, Path("/proc/net/route").read_text()


@pytest.mark.parametrize("arguments", [("3", ""), ("3", "-1"), ("3", "4x"), ("3", "99999999"), ("3", "1", "1")])
def test_what_is_no_process_is_refused(arguments):
    ended = run_exec(*arguments)
    assert ended.returncode == 125
    assert ended.stderr.startswith("harden: harden-exec: expected the number of a ")


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
